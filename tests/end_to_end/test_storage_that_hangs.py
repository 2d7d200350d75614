"""A file that hangs in the kernel stalls who reads it, and nobody else."""

import http.client
import threading
import time
from collections.abc import Iterator

import pytest

from teapot.demo.issuer import Issuer
from tests.end_to_end.conftest import StartTeapot
from tests.service.hanging_storage import HangingStorage
from tests.service.ledger import Ledger
from tests.service.site import ALICE, BOB, Site
from tests.service.site import tables as site_tables
from tests.service.teapot_process import Teapot, wait_for
from tests.service.tokens import Tokens

ANSWER_TIMEOUT_S = 2.0


@pytest.fixture(scope="module")
def storage(ledger: Ledger, site: Site) -> Iterator[HangingStorage]:
    with HangingStorage(ledger.folder("hanging") / "storage", site.alice) as storage:
        yield storage


@pytest.fixture(scope="module")
def teapot(start_teapot: StartTeapot, storage: HangingStorage, site: Site, ledger: Ledger) -> Teapot:
    areas = site_tables(site, ledger.ground)["storage_area"]
    timeouts = {"answer_timeout_s": ANSWER_TIMEOUT_S, "body_timeout_s": ANSWER_TIMEOUT_S}
    hanging = {"name": "hanging", "path": "/hanging", "root": storage.folder}
    return start_teapot({"storage_area": [*areas, hanging], "server": timeouts})


@pytest.fixture
def hung(storage: HangingStorage) -> Iterator[HangingStorage]:
    storage.answering.clear()
    yield storage
    storage.answering.set()


@pytest.fixture
def as_alice(teapot: Teapot, issuer: Issuer) -> str:
    return Tokens(issuer, teapot.url()).of(ALICE)


@pytest.fixture
def as_bob(teapot: Teapot, issuer: Issuer) -> str:
    return Tokens(issuer, teapot.url()).of(BOB)


class Readers:
    """People who ask for a file that hangs, all at once."""

    def __init__(self, teapot: Teapot, token: str, path: str, number: int) -> None:
        self.statuses: list[int] = []
        self._threads = [threading.Thread(target=self._read, args=(teapot, token, path)) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def _read(self, teapot: Teapot, token: str, path: str) -> None:
        try:
            self.statuses.append(teapot.request("GET", path, token).status)
        except (OSError, http.client.HTTPException):
            self.statuses.append(0)

    @property
    def waiting(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)


def test_who_reads_a_file_that_hangs_is_told_so_in_time(teapot: Teapot, hung: HangingStorage, as_alice: str) -> None:
    began = time.monotonic()
    answer = teapot.request("GET", "/hanging/hangs", as_alice)
    assert (answer.status, answer.code) == (504, "worker_silent")
    assert ANSWER_TIMEOUT_S <= time.monotonic() - began < 2 * ANSWER_TIMEOUT_S


def test_other_files_of_the_same_account_are_served_meanwhile(teapot: Teapot, hung: HangingStorage, as_alice: str) -> None:
    readers = Readers(teapot, as_alice, "/hanging/hangs", 8)
    wait_for(lambda: hung.hanging >= 8, 5, "the reads do not hang")
    for path in ("/hanging/fine", "/home/", "/hanging/fine"):
        assert teapot.request("GET", path, as_alice).status == 200
    readers.join()
    assert set(readers.statuses) == {504}


@pytest.mark.parametrize("path", ["/hanging/hangs", "/hanging/hangs-large"])
def test_nobody_else_is_delayed(teapot: Teapot, hung: HangingStorage, as_alice: str, as_bob: str, path: str) -> None:
    """Whole requests, new connections and TLS included; a stall would show in each of three tries, a hiccup of the machine does not."""
    worst = []
    for _ in range(3):
        readers = Readers(teapot, as_alice, path, 40)
        worst.append(_worst_delay_s(teapot, as_bob, readers))
    assert min(worst) <= 0.05 + _worst_delay_s(teapot, as_bob, None)


def _worst_delay_s(teapot: Teapot, token: str, readers: Readers | None) -> float:
    """With a connection of its own that stays open: while the readers wait, or 100 times."""
    connection = http.client.HTTPSConnection("localhost", teapot.port, context=teapot.tls, timeout=10)
    worst = 0.0
    connection.connect()
    for _ in range(100_000 if readers else 100):
        began = time.monotonic()
        connection.request("GET", "/home/", headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        response.read()
        assert response.status == 200
        worst = max(worst, time.monotonic() - began)
        if readers and not readers.waiting:
            break
    connection.close()
    return worst


def test_when_the_storage_answers_again_so_does_the_account(teapot: Teapot, storage: HangingStorage, as_alice: str, site: Site) -> None:
    for _ in range(8):  # so that every gateway has its channel
        assert teapot.request("GET", "/hanging/fine", as_alice).status == 200
    worker = teapot.worker_of(site.alice)
    descriptors = worker.num_fds()
    storage.answering.clear()
    readers = Readers(teapot, as_alice, "/hanging/hangs-large", 10)
    readers.join()
    storage.answering.set()
    wait_for(lambda: teapot.request("GET", "/hanging/hangs", as_alice).status == 200, 10, "the account is not served")
    assert len(teapot.request("GET", "/hanging/hangs-large", as_alice).body) == 4 << 20
    wait_for(lambda: worker.num_fds() <= descriptors + 1, 10, lambda: f"descriptors are left open: {worker.num_fds()}")
