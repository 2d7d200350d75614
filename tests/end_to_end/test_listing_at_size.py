"""Very many entries in one collection: told at once, in flat memory, and no longer than somebody listens."""

import http.client
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.conftest import StartTeapot
from tests.service.ledger import Ledger
from tests.service.site import Site
from tests.service.site import tables as site_tables
from tests.service.teapot_process import Teapot, wait_for

MIB = 1 << 20
SIZES = [pytest.param(100_000, id="100 000"), pytest.param(1_000_000, id="1 000 000", marks=pytest.mark.long)]
NAMES = b'<D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/></D:prop></D:propfind>'


@pytest.fixture(scope="module")
def shelf(site: Site) -> Iterator[Path]:
    shelf = Path(tempfile.mkdtemp(prefix="teapot-many-", dir="/dev/shm"))
    shelf.chmod(0o755)
    yield shelf
    shutil.rmtree(shelf)


@pytest.fixture(scope="module")
def teapot(start_teapot: StartTeapot, shelf: Path, site: Site, ledger: Ledger) -> Teapot:
    areas = site_tables(site, ledger.ground)["storage_area"]
    return start_teapot({"storage_area": [*areas, {"name": "shelf", "path": "/shelf", "root": str(shelf)}]})


@pytest.fixture(scope="module")
def fill(shelf: Path, site: Site) -> Callable[[int], str]:
    def make(number: int) -> str:
        folder = shelf / str(number)
        if not folder.exists():
            folder.mkdir()
            directory = os.open(folder, os.O_RDONLY)
            for count in range(number):
                os.close(os.open(f"entry-{count:07}.dat", os.O_CREAT | os.O_WRONLY, dir_fd=directory))
            os.close(directory)
        return f"/shelf/{number}/"

    return make


class Listing:
    """A listing that is being read."""

    def __init__(self, teapot: Teapot, token: str, method: str, path: str, body: bytes = b"") -> None:
        self._connection = http.client.HTTPSConnection("localhost", teapot.port, timeout=120, context=teapot.tls)
        self._connection.connect()
        began = time.monotonic()
        self._connection.request(method, path, body, {"Authorization": f"Bearer {token}", "Depth": "1"})
        self._answer = self._connection.getresponse()
        self.first = self._answer.read1(65536)
        self.first_byte_s = time.monotonic() - began

    def count(self, what: bytes) -> int:
        """To the end."""
        found, rest = self.first.count(what), self.first[-len(what) + 1 :]
        while data := self._answer.read(256 * 1024):
            data = rest + data
            found, rest = found + data.count(what), data[-len(what) + 1 :]
        return found

    def leave(self) -> None:
        self._answer.close()
        self._connection.close()


class Watch:
    """The largest private memory that each of these processes has while it is watched."""

    def __init__(self, processes: list[psutil.Process]) -> None:
        self.grown = dict.fromkeys(processes, 0)
        self._before = {process: process.memory_full_info().uss for process in processes}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *about: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.1):
            for process, before in self._before.items():
                self.grown[process] = max(self.grown[process], process.memory_full_info().uss - before)


@pytest.mark.parametrize("number", SIZES)
@pytest.mark.parametrize(("method", "entry"), [("PROPFIND", b"<D:response>"), ("GET", b"<tr><td>")])
def test_it_is_told_in_flat_memory_and_from_the_first_moment(
    teapot: Teapot, as_alice: str, fill: Callable[[int], str], number: int, method: str, entry: bytes
) -> None:
    path = fill(number)
    Listing(teapot, as_alice, method, "/shelf/").count(entry)  # the worker is there
    with Watch([*teapot.processes("worker"), *teapot.processes("gateway")]) as watch:
        listing = Listing(teapot, as_alice, method, path)
        assert listing.count(entry) == number + (method == "PROPFIND")
    assert max(watch.grown.values()) < 10 * MIB, "of GET the first 10 000 are kept, to be sorted"


@pytest.mark.parametrize(
    ("method", "number", "body"),
    [
        pytest.param("PROPFIND", 100_000, NAMES, id="PROPFIND of 100 000"),
        pytest.param("GET", 9_999, b"", id="GET of 9 999, which are sorted"),
        pytest.param("GET", 100_000, b"", id="GET of 100 000, which are not"),
    ],
)
def test_the_first_byte_comes_within_50_ms(
    teapot: Teapot, as_alice: str, fill: Callable[[int], str], method: str, number: int, body: bytes
) -> None:
    """The best of five: others use this machine too."""
    path, waits = fill(number), []
    for _ in range(5):
        listing = Listing(teapot, as_alice, method, path, body)
        waits.append(listing.first_byte_s)
        listing.leave()
    assert min(waits) <= 0.05, waits


@pytest.mark.parametrize("method", ["PROPFIND", "GET"])
def test_it_ends_when_nobody_listens_any_more(teapot: Teapot, as_alice: str, fill: Callable[[int], str], method: str) -> None:
    listing = Listing(teapot, as_alice, method, fill(100_000))
    (worker,) = teapot.processes("worker")
    listing.leave()

    def is_idle() -> bool:
        before = sum(worker.cpu_times()[:2])
        time.sleep(0.3)
        return sum(worker.cpu_times()[:2]) - before < 0.05

    wait_for(is_idle, 3, "the worker goes on")
    folder = os.path.realpath(fill(100_000).replace("/shelf", str(next(Path("/dev/shm").glob("teapot-many-*")))))
    assert folder not in [os.path.realpath(link) for link in Path(f"/proc/{worker.pid}/fd").iterdir()]
