"""The pump's few threads move all bodies of an account: whatever goes wrong with one of them, they go on with the others."""

import socket
import subprocess
import sys
from collections.abc import Iterator

from teapot.worker.bodies import Body, Piece, Receiving, Sending
from teapot.worker.pump import Pump
from teapot.worker.refusal import Refusal
from tests.service.teapot_process import wait_for

MORE_THAN_THREADS = 6


def _faulty() -> Iterator[Piece | bytes]:
    yield b"some bytes"
    raise OverflowError("a fault of ours")


class _FaultyUpload:
    def write(self, data: memoryview) -> None:
        raise MemoryError


def _pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, theirs


def _moves(pump: Pump) -> None:
    ended: list[tuple[int, bool, str]] = []
    ours, theirs = _pair()
    with theirs:
        pump.add(Sending(pump, ours, Body(iter([b"fine"]), 4), lambda *how: ended.append(how)), sends=True)
        wait_for(lambda: bool(ended), 5, "the next body does not move")
        assert (ended, theirs.recv(100)) == ([(4, True, "")], b"fine")


def test_a_body_that_fails_in_a_way_that_nobody_foresaw_ends_alone() -> None:
    pump, ended, held = Pump(), [], []
    for _ in range(MORE_THAN_THREADS):
        ours, theirs = _pair()
        held.append(theirs)
        pump.add(Sending(pump, ours, Body(_faulty(), None), lambda *how: ended.append(how)), sends=True)
    wait_for(lambda: len(ended) == MORE_THAN_THREADS, 5, lambda: f"{ended}")
    assert set(ended) == {(10, False, "OverflowError: a fault of ours")}
    _moves(pump)


def test_an_upload_that_fails_in_a_way_that_nobody_foresaw_ends_alone() -> None:
    pump, ended, held = Pump(), [], []
    for _ in range(MORE_THAN_THREADS):
        ours, theirs = _pair()
        held.append(theirs)
        pump.add(Receiving(pump, ours, _FaultyUpload(), ended.append), sends=False)  # type: ignore[arg-type]
        theirs.send(b"x")
    wait_for(lambda: len(ended) == MORE_THAN_THREADS, 5, lambda: f"{ended}")
    assert all(isinstance(refusal, Refusal) and refusal.problem == "internal_error" for refusal in ended)
    _moves(pump)


_SHORT_OF_MEMORY = """
import resource, socket, time
from teapot.worker.bodies import Body, Sending
from teapot.worker.pump import Pump

pump, ended, held = Pump(), [], []

def add():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    held.append(theirs)
    sending = Sending(pump, ours, Body(iter([b"fine"]), 4), lambda *how: ended.append(how))
    try:
        pump.add(sending, sends=True)
    except RuntimeError as none:
        sending.fail(str(none))

used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200_000, resource.RLIM_INFINITY))
for _ in range(6):
    add()
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
add()
deadline = time.monotonic() + 5
while len(ended) < 7 and time.monotonic() < deadline:
    time.sleep(0.01)
print(ended)
"""


def test_threads_that_could_not_be_started_are_started_later() -> None:
    """A program of its own: it is short of memory for a while."""
    done = subprocess.run([sys.executable, "-c", _SHORT_OF_MEMORY], capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == str([(0, False, "can't start new thread")] * 6 + [(4, True, "")]), done.stderr
