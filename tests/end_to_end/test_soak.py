"""Minutes of everything at once: nothing grows, nothing is left, nobody is refused who should not be."""

import http.client
import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from teapot.demo.issuer import Issuer
from tests.end_to_end.conftest import StartTeapot
from tests.service.site import ALICE, BOB
from tests.service.teapot_process import Teapot
from tests.service.tokens import Tokens

WARM_UP_S, SOAK_S = 30.0, 180.0
MIB = 1 << 20

pytestmark = [pytest.mark.long, pytest.mark.timeout(2 * (WARM_UP_S + SOAK_S))]


class User(threading.Thread):
    """One person with one connection, who uploads, lists, reads, copies, renames, deletes and now and then errs or leaves."""

    def __init__(self, teapot: Teapot, token: str, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.done = 0
        self.wrong: list[str] = []
        self._teapot, self._end = teapot, stop
        self._fields = {"Authorization": f"Bearer {token}"}
        self._folder = f"/home/soak-{number}"
        self._connection = self._connect()

    def run(self) -> None:
        try:
            self._ask("MKCOL", self._folder, expected=(201, 405))
            for step in itertools.cycle(self._round()):
                if self._end.is_set():
                    break
                step()
                self.done += 1
            self._ask("DELETE", self._folder, expected=(204,))
        except Exception as error:
            self.wrong.append(f"{type(error).__name__}: {error}")

    def _round(self) -> list[Callable[[], None]]:
        file, copy, large = (f"{self._folder}/{name}" for name in ("small file", "copy", "large"))
        escaped = file.replace(" ", "%20")
        content, much = secrets.token_bytes(5000), bytes(3 * MIB)
        return [
            lambda: self._ask("PUT", escaped, content, expected=(200, 201)),
            lambda: self._ask("GET", escaped, expected=(200,)),
            lambda: self._ask("PUT", large, much, expected=(200, 201)),
            lambda: self._ask("GET", large, expected=(200,)),
            lambda: self._ask("PROPFIND", self._folder, fields={"Depth": "1"}, expected=(207,)),
            lambda: self._ask("COPY", escaped, fields={"Destination": copy, "Overwrite": "T"}, expected=(201, 204)),
            lambda: self._ask("GET", f"{self._folder}/nothing", expected=(404,)),
            lambda: self._ask("DELETE", copy, expected=(204,)),
            self._leave_in_the_middle_of(large),
            lambda: self._ask("HEAD", escaped, expected=(200,)),
        ]

    def _leave_in_the_middle_of(self, path: str) -> Callable[[], None]:
        def leave() -> None:
            self._connection.request("GET", path, headers=self._fields)
            self._connection.getresponse().read(1000)
            self._connection.close()
            self._connection = self._connect()

        return leave

    def _ask(
        self, method: str, path: str, body: bytes | None = None, fields: dict[str, str] | None = None, *, expected: tuple[int, ...]
    ) -> None:
        self._connection.request(method, path, body, {**self._fields, **(fields or {})})
        answer = self._connection.getresponse()
        answer.read()
        if answer.status not in expected:
            self.wrong.append(f"{method} {path}: {answer.status}")

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self._teapot.port, context=self._teapot.tls, timeout=30)


class Use(dict[str, tuple[int, int]]):
    """Private memory in bytes and descriptors of every process, by title."""

    @classmethod
    def of(cls, teapot: Teapot) -> "Use":
        return cls({_title(process): (process.memory_full_info().uss, process.num_fds()) for process in teapot.processes()})


def _title(process: psutil.Process) -> str:
    return f"{process.pid} {' '.join(process.cmdline()).strip()}"


@pytest.fixture
def users(start_teapot: StartTeapot, issuer: Issuer) -> Iterator[tuple[Teapot, list[User]]]:
    teapot = start_teapot({"server": {"log_level": "warning"}})
    tokens = Tokens(issuer, teapot.url())
    stop = threading.Event()
    users = [User(teapot, tokens.of((ALICE, BOB)[number % 2]), number, stop) for number in range(8)]
    for user in users:
        user.start()
    yield teapot, users
    stop.set()
    for user in users:
        user.join(30)


def test_nothing_grows(users: tuple[Teapot, list[User]]) -> None:
    teapot, people = users
    time.sleep(WARM_UP_S)
    before, done = Use.of(teapot), sum(user.done for user in people)
    time.sleep(SOAK_S)
    after, done = Use.of(teapot), sum(user.done for user in people) - done
    print(f"{done} requests in {SOAK_S:.0f} s; private MiB and descriptors before and after:")
    for title, (memory, descriptors) in after.items():
        print(f"  {title}: {before[title][0] / MIB:.1f} {memory / MIB:.1f}, {before[title][1]} {descriptors}")
    assert [fault for user in people for fault in user.wrong] == []
    assert after.keys() == before.keys(), "no process ended or began"
    assert all(memory < before[title][0] + 6 * MIB for title, (memory, _) in after.items())
    assert all(descriptors < before[title][1] + 24 for title, (_, descriptors) in after.items())
    assert done > 50 * SOAK_S
