"""Moves bodies between files and streams, piece by piece, fairly among all transfers of the worker.

A few threads wait on one epoll; each ready stream is given to one of them for one piece. A stream that is not ready costs no thread,
and a file that hangs costs one.
"""

import contextlib
import select
import threading
from typing import Protocol

from teapot.worker import threads

_THREADS = 4
PIECE = 1 << 20


class Transfer(Protocol):
    def fileno(self) -> int:
        """Of the stream; it does not block."""

    def step(self) -> bool:
        """Move one piece, or find that none can be moved now. False: over, for better or worse; the stream is closed."""


class Pump:
    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._transfers: dict[int, tuple[Transfer, int]] = {}
        self._lock = threading.Lock()
        self._threads = 0

    def add(self, transfer: Transfer, *, sends: bool) -> None:
        """RuntimeError, MemoryError: there is no thread, and none can be started at present; the transfer is as it was."""
        events = (select.EPOLLOUT if sends else select.EPOLLIN) | select.EPOLLONESHOT
        with self._lock:
            if self._threads < _THREADS:
                self._begin_thread()
            self._transfers[transfer.fileno()] = transfer, events
        self._epoll.register(transfer.fileno(), events)

    def _begin_thread(self) -> None:
        """A limit may be reached: those that there are go on."""
        try:
            threads.start(self._work)
        except (RuntimeError, MemoryError):
            if not self._threads:
                raise
        else:
            self._threads += 1

    def _work(self) -> None:
        while True:
            for descriptor, _ in self._epoll.poll(maxevents=1):
                transfer, events = self._transfers[descriptor]
                if transfer.step():
                    self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """To be called by a transfer before it closes its stream."""
        with self._lock:
            self._transfers.pop(descriptor, None)
        with contextlib.suppress(FileNotFoundError):  # it was never taken on
            self._epoll.unregister(descriptor)
