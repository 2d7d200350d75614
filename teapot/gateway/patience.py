"""Deadlines for many waits on one timer: a timer for each would cost as much as the rest of a small request.

Deadlines here are seconds and hardly ever reached, so the timer is set for the earliest one that was known when it was set.
"""

import asyncio
from typing import TypeVar

T = TypeVar("T")


class Patience:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadlines: dict[asyncio.Future[object], float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def future(self) -> "asyncio.Future[None]":
        """One to wait for. (asyncio.get_running_loop() costs a system call.)"""
        return self._loop.create_future()

    async def wait(self, future: "asyncio.Future[T]", patience_s: float) -> T:
        """TimeoutError when it takes longer. The future is this wait's own: it ends with it."""
        deadline = self._loop.time() + patience_s
        self._deadlines[future] = deadline  # type: ignore[index]
        if self._timer is None or deadline < self._due:
            self._set(deadline)
        try:
            return await future
        finally:
            del self._deadlines[future]  # type: ignore[arg-type]

    def _set(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._loop.time()
        for future, deadline in self._deadlines.items():
            if deadline <= now and not future.done():
                future.set_exception(TimeoutError())
        waiting = [deadline for deadline in self._deadlines.values() if deadline > now]
        if waiting:
            self._set(min(waiting))
