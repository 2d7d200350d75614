"""gfal2 and davix at a storage with tape: they find its tape REST API, see what is on tape, are refused its content, and recall nothing."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from teapot.demo.issuer import Issuer
from tests.end_to_end.conftest import StartTeapot
from tests.service.ledger import Ledger
from tests.service.site import ALICE, Site, tables
from tests.service.tape_storage import ATTRIBUTE, FILES, TapeStorage
from tests.service.teapot_process import Teapot
from tests.service.tokens import Tokens

ENDPOINT = "https://tape.example.org:8444/api/v1"
DOCUMENT = {"sitename": "EXAMPLE-HPC", "endpoints": [{"uri": ENDPOINT, "version": "v1"}]}
SIZE = len(FILES[b"offline"].data)
_FILE_EXISTS = 17  # what both make of a 409


class Clients:
    """Both trust directories of hashed certificates only, and gfal2 is a module of the system's Python."""

    def __init__(self, teapot: Teapot, folder: Path, token: str) -> None:
        shutil.copy(teapot.ca, folder / "ca.pem")
        subprocess.run(["openssl", "rehash", folder], check=True)
        self._teapot, self._folder, self._token = teapot, folder, token

    def url(self, path: str) -> str:
        return self._teapot.url(path).replace("https://", "davs://")

    def gfal(self, command: str, *arguments: str, token: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self._folder), "X509_CERT_DIR": str(self._folder)}
        environment |= {"GFAL_PYTHONBIN": "/usr/bin/python3"} | ({"BEARER_TOKEN": self._token} if token else {})
        return subprocess.run([f"gfal-{command}", *arguments], env=environment, capture_output=True, text=True, timeout=60)

    def davix(self, command: str, url: str) -> subprocess.CompletedProcess[str]:
        line = [f"davix-{command}", "--capath", str(self._folder), "-H", f"Authorization: Bearer {self._token}", url]
        return subprocess.run(line, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def storage(ledger: Ledger, site: Site) -> Iterator[TapeStorage]:
    with TapeStorage(ledger.folder("tape-clients") / "storage", site.alice) as storage:
        yield storage


@pytest.fixture(scope="module")
def teapot(start_teapot: StartTeapot, storage: TapeStorage, site: Site, ledger: Ledger) -> Teapot:
    document = ledger.folder("tape-document") / "tape.json"
    document.write_text(json.dumps(DOCUMENT))
    areas = tables(site, ledger.ground)["storage_area"]
    tape = {"name": "tape", "path": "/tape", "root": storage.folder, "residency": {"attribute": ATTRIBUTE}}
    return start_teapot({"storage_area": [*areas, tape], "server": {"tape_rest_api": document}})


@pytest.fixture
def clients(teapot: Teapot, issuer: Issuer, ledger: Ledger) -> Clients:
    return Clients(teapot, ledger.folder("grid-clients"), Tokens(issuer, teapot.url()).of(ALICE))


@pytest.fixture(autouse=True)
def _recalls_nothing(storage: TapeStorage) -> Iterator[None]:
    yield
    assert {name for name in storage.opened if not FILES[name.encode()].on_disk} == set()


def test_gfal2_finds_the_tape_rest_api(clients: Clients) -> None:
    for name, value in {"taperestapi.sitename": "EXAMPLE-HPC", "taperestapi.version": "v1", "taperestapi.uri": ENDPOINT}.items():
        done = clients.gfal("xattr", clients.url("/tape/online"), name)
        assert (done.returncode, done.stdout.strip()) == (0, value), done.stderr


def test_both_list_what_is_on_tape_with_its_size(clients: Clients) -> None:
    for done in (clients.gfal("ls", "-l", clients.url("/tape")), clients.davix("ls", clients.url("/tape"))):
        assert done.returncode == 0 and "offline-too" in done.stdout, done.stderr
    assert f"Size: {SIZE}" in clients.gfal("stat", clients.url("/tape/offline")).stdout


def test_both_are_refused_its_content_in_time(clients: Clients, tmp_path: Path) -> None:
    began = time.monotonic()
    copied = clients.gfal("copy", clients.url("/tape/offline"), f"file://{tmp_path / 'copy'}")
    assert copied.returncode == _FILE_EXISTS and "HTTP 409" in copied.stderr
    assert "HTTP 409" in clients.davix("get", clients.url("/tape/offline")).stderr
    assert time.monotonic() - began < 10


def test_gfal2_copies_what_is_on_disk(clients: Clients, tmp_path: Path) -> None:
    done = clients.gfal("copy", clients.url("/tape/both"), f"file://{tmp_path / 'copy'}")
    assert done.returncode == 0 and (tmp_path / "copy").read_bytes() == FILES[b"both"].data, done.stderr


def test_gfal2_without_a_token_does_not_wait_for_one_from_here(clients: Clients, teapot: Teapot, tmp_path: Path) -> None:
    began = time.monotonic()
    done = clients.gfal("copy", clients.url("/tape/online"), f"file://{tmp_path / 'copy'}", token=False)
    assert done.returncode != 0 and "401" in done.stderr
    assert time.monotonic() - began < 5
    assert "macaroons_not_offered" in teapot.log_end()
