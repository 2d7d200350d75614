"""The worker's threads. One leads: it waits on all channels and carries out what comes, one request after the other, without a hand-over.

Python runs one thread at a time, so threads that wait side by side only get in each other's way while storage is fast. When a request takes
longer than a moment, a watching thread gives the lead to a spare one: a file that hangs costs its own thread and nobody else's time. While
storage is slow the lead is handed on before each request, so that requests run side by side, up to a bound.
"""

import select
import threading
import time
from typing import Protocol

from teapot.worker import threads

_MAX_THREADS = 32
_MOMENT_S = 0.005  # a request that takes longer loses the lead
_SLOW_S = 1.0  # so long after that the lead is handed on before each request
_QUIET = 20  # moments without a request, after which nobody watches
_SPARE_S = 10.0  # a thread without work leaves
_EVENTS = 8


class Served(Protocol):
    """What is waited on."""

    def fileno(self) -> int: ...

    def take(self) -> bool:
        """Receive one message, if there is one, and carry it out. False: nothing comes any more."""


class _Lead:
    """What the thread that holds it is at. A new one for each leader: so one that lost the lead disturbs no one."""

    __slots__ = ("at_work", "begun")

    def __init__(self) -> None:
        self.at_work = False
        self.begun = 0


class Crew:
    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._served: dict[int, Served] = {}
        self._lock = threading.Lock()
        self._lead = _Lead()
        self._threads, self._spare = 0, 0
        self._called = threading.Semaphore(0)
        self._watched = threading.Event()
        self._slow_until = 0.0

    def serve(self, channel: Served) -> None:
        descriptor = channel.fileno()
        self._served[descriptor] = channel
        self._epoll.register(descriptor, select.EPOLLIN)
        with self._lock:
            first = not self._threads
            self._threads += first
        if first:
            threads.start(self._work)
            threads.start(self._watch)

    # --- a thread

    def _work(self) -> None:
        while True:
            self._follow(self._lead)
            if not self._stand_by():
                return

    def _follow(self, lead: _Lead) -> None:
        while lead is self._lead:
            for descriptor, _ in self._epoll.poll(maxevents=_EVENTS):
                if lead is not self._lead:
                    return
                self._turn(lead, descriptor)

    def _turn(self, lead: _Lead, descriptor: int) -> None:
        channel = self._served.get(descriptor)
        if channel is None:
            return
        lead.begun += 1
        lead.at_work = True
        if not self._watched.is_set():
            self._watched.set()
        elif self._slow_until and self._is_slow():
            self._hand_on(lead)
        if not channel.take():
            self._forget(descriptor, channel)
        lead.at_work = False

    def _forget(self, descriptor: int, channel: Served) -> None:
        with self._lock:
            if self._served.get(descriptor) is channel:
                del self._served[descriptor]
                self._epoll.unregister(descriptor)

    def _stand_by(self) -> bool:
        """Wait until the lead is ours. False: it was not for long enough, this thread leaves."""
        with self._lock:
            self._spare += 1
        if self._called.acquire(timeout=_SPARE_S):
            return True
        with self._lock:
            if self._called.acquire(blocking=False):
                return True
            self._spare -= 1
            self._threads -= 1
            return False

    # --- the lead

    def _watch(self) -> None:
        quiet = 0
        while True:
            self._watched.wait()
            lead, begun = self._lead, self._lead.begun
            time.sleep(_MOMENT_S)
            if lead is not self._lead or lead.begun != begun:
                quiet = 0
            elif lead.at_work:
                self._slow_until = time.monotonic() + _SLOW_S
                self._hand_on(lead)
            elif (quiet := quiet + 1) >= _QUIET:
                self._stop_watching(lead)

    def _stop_watching(self, lead: _Lead) -> None:
        self._watched.clear()
        if lead.at_work or lead is not self._lead:
            self._watched.set()  # it began just now, and saw that somebody watches

    def _is_slow(self) -> bool:
        slow = time.monotonic() < self._slow_until
        if not slow:
            self._slow_until = 0.0
        return slow

    def _hand_on(self, lead: _Lead) -> None:
        """To a spare thread, or a new one. With the last thread taken nobody leads until one is free."""
        with self._lock:
            if lead is not self._lead:
                return
            if self._spare:
                self._spare -= 1
                self._lead = _Lead()
                self._called.release()
            elif self._threads < _MAX_THREADS:
                self._begin_thread(lead)

    def _begin_thread(self, instead_of: _Lead) -> None:
        self._threads += 1
        self._lead = _Lead()
        try:
            threads.start(self._work)
        except (RuntimeError, MemoryError):  # a limit is reached: whoever leads goes on
            self._threads -= 1
            self._lead = instead_of
