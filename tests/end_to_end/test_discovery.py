"""What clients of data lakes ask a storage for before they use it: its tape REST API, tokens, macaroons. All of it without an account."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import StartTeapot
from tests.service.ledger import Ledger
from tests.service.site import Site, tables
from tests.service.teapot_process import TEAPOT, Teapot, wait_for

TAPE = "/.well-known/wlcg-tape-rest-api"
DOCUMENT = {
    "sitename": "EXAMPLE-HPC",
    "description": "tape of the example site",
    "endpoints": [{"uri": "https://tape.example.org:8444/api/v1", "version": "v1", "metadata": {"quality": "production"}}],
}
AT_ONCE_S = 1.0


@pytest.fixture(scope="module")
def document(ledger: Ledger) -> Path:
    path = ledger.folder("discovery") / "wlcg-tape-rest-api.json"
    path.write_text(json.dumps(DOCUMENT))
    return path


@pytest.fixture(scope="module")
def teapot(start_teapot: StartTeapot, document: Path) -> Teapot:
    return start_teapot({"server": {"tape_rest_api": document}})


@pytest.fixture(scope="module")
def without_tape(start_teapot: StartTeapot) -> Teapot:
    return start_teapot()


def test_a_site_without_tape_says_so(without_tape: Teapot) -> None:
    answer = without_tape.request("GET", TAPE)
    assert (answer.status, answer.code) == (404, "tape_not_offered")


def test_the_sites_document_is_there_for_everybody_as_it_was_written(teapot: Teapot, document: Path) -> None:
    answer = teapot.request("GET", TAPE)
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    assert answer.body == document.read_bytes()


def test_its_head_is_told_without_it(teapot: Teapot, document: Path) -> None:
    answer = teapot.request("HEAD", TAPE)
    assert answer.status == 200 and answer.headers["content-length"] == str(document.stat().st_size)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "MKCOL", "PROPFIND"])
def test_nobody_changes_it(teapot: Teapot, as_alice: str, method: str) -> None:
    answer = teapot.request(method, TAPE, as_alice)
    assert (answer.status, answer.headers["allow"]) == (405, "OPTIONS,GET,HEAD")


def test_a_reload_brings_a_new_document_and_a_broken_one_changes_nothing(teapot: Teapot, document: Path) -> None:
    before = document.read_text()
    document.write_text("{")
    os.kill(teapot.pid, signal.SIGHUP)
    wait_for(lambda: "not renewed" in teapot.log(), 20, "the broken document is not refused")
    assert teapot.request("GET", TAPE).body == before.encode()
    document.write_text(json.dumps({**DOCUMENT, "sitename": "RENAMED"}))
    os.kill(teapot.pid, signal.SIGHUP)
    wait_for(lambda: b"RENAMED" in teapot.request("GET", TAPE).body, 20, "the new document is not served")
    document.write_text(before)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        ("", "is not a document"),
        ("[]", "Expected `object`, got `array`"),
        ("{}", "missing required field `sitename`"),
        ({**DOCUMENT, "sitename": ""}, "`$.sitename`"),
        ({"sitename": "X"}, "missing required field `endpoints`"),
        ({**DOCUMENT, "endpoints": []}, "`$.endpoints`"),
        ({**DOCUMENT, "endpoints": [{"uri": "https://tape.example.org/"}]}, "missing required field `version`"),
        ({**DOCUMENT, "endpoints": [{"uri": "https://tape.example.org/", "version": "1"}]}, "`$.endpoints[0].version`"),
        ({**DOCUMENT, "endpoints": [{"uri": "http://tape.example.org/", "version": "v1"}]}, "'http://tape.example.org/' is no https URL"),
        ({**DOCUMENT, "endpoints": [{"uri": "https://", "version": "v1"}]}, "'https://' is no https URL"),
        ({**DOCUMENT, "description": "x" * 17_000}, "is larger than 16384 bytes"),
    ],
)
def test_a_document_of_no_use_is_refused_at_the_start(ledger: Ledger, site: Site, content: Any, reason: str) -> None:
    directory = ledger.folder("broken-document")
    path = directory / "tape.json"
    if content is not None:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    teapot = Teapot(directory, tables(site, directory), site.ca)
    teapot.write_configuration({"server": {"tape_rest_api": path}})
    for command in ("serve",), ("check", "--files"):
        line = [TEAPOT, *command, "--config", teapot.configuration]
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, cwd="/")
        assert done.returncode == 1
        assert done.stderr.startswith("teapot: server.tape_rest_api: ") and reason in done.stderr and str(path) in done.stderr


@pytest.mark.parametrize("path", ["oauth-authorization-server", "oauth-authorization-server/home/file", "openid-configuration"])
@pytest.mark.parametrize("token", [None, "nonsense"])
def test_who_looks_for_an_issuer_is_told_that_this_is_none(teapot: Teapot, path: str, token: str | None) -> None:
    began = time.monotonic()
    answer = teapot.request("GET", f"/.well-known/{path}", token)
    assert (answer.status, answer.code) == (404, "tokens_not_issued")
    assert time.monotonic() - began < AT_ONCE_S


@pytest.mark.parametrize("path", ["oauth-authorization-servers", "openid-configuration.json", "wlcg-tape-rest-api/v1", ""])
def test_what_only_looks_like_it_is_nothing(teapot: Teapot, path: str) -> None:
    answer = teapot.request("GET", f"/.well-known/{path}")
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("kind", ["application/macaroon-request", "Application/Macaroon-Request; charset=utf-8"])
@pytest.mark.parametrize("path", ["/home/file", "/home/", "/nowhere", "/"])
def test_macaroons_are_refused_at_once_whoever_asks_and_wherever(teapot: Teapot, as_alice: str, path: str, kind: str) -> None:
    wanted = b'{"caveats": ["activity:LIST,DOWNLOAD"], "validity": "PT60M"}'
    for token in (as_alice, None):
        began = time.monotonic()
        answer = teapot.request("POST", path, token, wanted, {"Content-Type": kind})
        assert (answer.status, answer.code) == (405, "macaroons_not_offered")
        assert "POST" not in answer.headers["allow"]
        assert time.monotonic() - began < AT_ONCE_S


def test_a_macaroon_request_whose_body_never_comes_is_refused_all_the_same(teapot: Teapot) -> None:
    began = time.monotonic()
    head = b"POST /home/file HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/macaroon-request\r\nContent-Length: 1000000\r\n\r\n"
    with teapot.connect() as connection:
        connection.sendall(head)
        assert connection.recv(4096).startswith(b"HTTP/1.1 405 ")
    assert time.monotonic() - began < AT_ONCE_S


def test_other_posts_are_not_told_of_macaroons(teapot: Teapot, as_alice: str) -> None:
    answer = teapot.request("POST", "/home/file", as_alice, b"grant_type=x", {"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status, answer.code) == (405, "method_not_allowed")
