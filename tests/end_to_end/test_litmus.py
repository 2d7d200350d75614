"""litmus, the test suite for WebDAV servers, through the gateway with a token: all five of its parts, every test, and no warning.

The area does not make missing parents: data-lake clients want them made, RFC 4918 (and litmus) wants a 409.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import StartTeapot
from tests.service.clients import direct_environment
from tests.service.header_proxy import HeaderProxy
from tests.service.teapot_process import Teapot

PARTS = {"basic": 16, "copymove": 13, "props": 30, "locks": 41, "http": 4}
_SUMMARY = re.compile(r"of (\d+) tests run: (\d+) passed, (\d+) failed")


@pytest.fixture(scope="module")
def teapot(start_teapot: StartTeapot) -> Teapot:
    strict = {"name": "home", "path": "/home", "root": "{home}/data", "create_parents": False}
    return start_teapot({"storage_area": [strict]})


@pytest.fixture
def proxy(teapot: Teapot, as_alice: str) -> Iterator[HeaderProxy]:
    proxy = HeaderProxy(teapot.tls, teapot.port, as_alice)
    yield proxy
    proxy.close()


@pytest.mark.parametrize("part", PARTS)
def test_litmus_passes(part: str, proxy: HeaderProxy, tmp_path: Path) -> None:
    done = subprocess.run(
        ["litmus", "--keep-going", proxy.url("/home/")],
        cwd=tmp_path,
        env=direct_environment() | {"TESTS": part},
        capture_output=True,
        text=True,
        timeout=60,
    )
    summary = _SUMMARY.search(done.stdout)
    assert summary, done.stdout + done.stderr
    assert tuple(map(int, summary.groups())) == (PARTS[part], PARTS[part], 0), done.stdout
    assert "WARNING" not in done.stdout, done.stdout
