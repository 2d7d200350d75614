"""Checksums that have to be computed from the content: once for all who ask at the same time, below other work, a few at a time.

What can be stored with the file is stored, and computed to its end even if who asked has gone: who asks again shall find it. What cannot
(a file of others, a file system without attributes) is remembered for a while.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future, InvalidStateError
from typing import NamedTuple

from teapot.worker import checksum, hashing, threads
from teapot.worker.refusal import Refusal, refusal_of

_PIECE = 1 << 20
_LOOK_S = 0.1  # how often somebody who waits looks whether it is still wanted
_NICE = 10
_MOST_REMEMBERED = 256
_TURNS = threading.BoundedSemaphore(16)  # half of the worker's threads at most wait for checksums: the others serve


class _Content(NamedTuple):
    device: int
    inode: int
    guard: bytes
    algorithm: str


_remembered: dict[_Content, bytes] = {}
_under_way: dict[_Content, "Future[bytes]"] = {}
_lock = threading.Lock()


def digest(descriptor: int, algorithm: str, stop: Callable[[], bool] = lambda: False, *, unguarded: bool = False) -> bytes:
    """Of the whole file, in binary form, from what is stored or from the content. `stop` is asked while one waits. Refusal."""
    try:
        status = os.fstat(descriptor)
        content = _Content(status.st_dev, status.st_ino, checksum.guard(status), algorithm)
        value = checksum.stored(descriptor, status, unguarded=unguarded).get(algorithm) or _remembered.get(content)
        return value or _computed_once(descriptor, content, stop)
    except OSError as error:
        raise refusal_of(error) from error


def computed(descriptor: int, algorithm: str) -> bytes:
    """From the content, whatever is stored, by this thread."""
    return _from_content(descriptor, algorithm, lambda: False)


def _computed_once(descriptor: int, content: _Content, stop: Callable[[], bool]) -> bytes:
    if not _TURNS.acquire(blocking=False):
        raise Refusal("worker_busy", "too many checksums are being computed")
    try:
        while True:
            with _lock:
                mine = content not in _under_way
                future = _under_way.setdefault(content, Future())
            if mine:
                _begin(descriptor, content, future, stop)
            if (value := _awaited(future, stop)) is not None:
                return value
    finally:
        _TURNS.release()


def _begin(descriptor: int, content: _Content, future: "Future[bytes]", stop: Callable[[], bool]) -> None:
    """In a thread of low priority, on a descriptor of its own."""
    kept = os.access(f"/proc/self/fd/{descriptor}", os.W_OK)
    own = os.dup(descriptor)

    def work() -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        _compute(own, content, future, (lambda: False) if kept else stop)

    try:
        threads.start(work)
    except (RuntimeError, MemoryError):
        _compute(own, content, future, stop)


def _compute(descriptor: int, content: _Content, future: "Future[bytes]", stop: Callable[[], bool]) -> None:
    """Owns the descriptor; settles the future, whatever happens."""
    try:
        value = _from_content(descriptor, content.algorithm, stop)
        status = os.fstat(descriptor)
        if checksum.guard(status) == content.guard:
            checksum.store(descriptor, {**checksum.stored(descriptor, status), content.algorithm: value})
            _remember(content, value)
        _settle(content, future, value)
    except BaseException as failed:  # whoever waits must hear of it
        _settle(content, future, failed)
    finally:
        os.close(descriptor)


def _settle(content: _Content, future: "Future[bytes]", outcome: bytes | BaseException) -> None:
    with _lock:
        _under_way.pop(content, None)
    with contextlib.suppress(InvalidStateError):
        if isinstance(outcome, bytes):
            future.set_result(outcome)
        else:
            future.set_exception(outcome)


def _awaited(future: "Future[bytes]", stop: Callable[[], bool]) -> bytes | None:
    """None: who computed it was told to stop, and we were not."""
    while not futures.wait((future,), _LOOK_S).done:
        if stop():
            raise _not_wanted()
    try:
        return future.result()
    except _Stopped:
        if stop():
            raise _not_wanted() from None
        return None


def _not_wanted() -> Refusal:
    return Refusal("storage_error", "the checksum is not wanted any more")


class _Stopped(Exception):
    """Nobody wants it any more."""


def _from_content(descriptor: int, algorithm: str, stop: Callable[[], bool]) -> bytes:
    value, at = hashing.new(algorithm), 0
    while piece := os.pread(descriptor, _PIECE, at):
        value.update(memoryview(piece))
        at += len(piece)
        if stop():
            raise _Stopped
    return value.digest()


def _remember(content: _Content, value: bytes) -> None:
    with _lock:
        while len(_remembered) >= _MOST_REMEMBERED:
            del _remembered[next(iter(_remembered))]
        _remembered[content] = value
