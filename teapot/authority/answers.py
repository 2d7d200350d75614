"""Remembers for a short time what was found out about a token, good or bad, so that several gateways cost one
verification.

Keyed by a hash of the token, bounded in number, never beyond the caller's own time; void when an account or a mapping
changes.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from teapot.authority.admission import Admitted
from teapot.authority.refusal import Refusal

MAX_REMEMBERED = 10_000
GOOD_S = 30.0
BAD_S = 5.0


class _Remembered(NamedTuple):
    answer: Admitted | Refusal
    until: float


class Answers:
    def __init__(self, identify: Callable[[str], Coroutine[Any, Any, Admitted]]) -> None:
        self._identify = identify
        self._remembered: dict[bytes, _Remembered] = {}
        self._finding: dict[bytes, asyncio.Task[Admitted]] = {}
        self._tasks: set[asyncio.Task[Admitted]] = set()  # also those whose answer counts for nothing any more
        self.edition = 0  # goes up when everything that was found out is void
        self.hits = self.misses = 0

    async def find(self, token: str) -> Admitted:
        """Refusal for a token that is not accepted. Whoever stops waiting does not disturb the others."""
        key = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._remembered.get(key)
        if known and known.until > time.monotonic():
            self.hits += 1
            return _given(known.answer)
        self.misses += 1
        while True:
            edition = self.edition
            answer = await self._found(key, token)
            if edition == self.edition:
                return answer

    def forget(self) -> None:
        """What is being found out at this moment counts for nothing either: it is found out again."""
        self.edition += 1
        self._remembered.clear()
        self._finding.clear()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _found(self, key: bytes, token: str) -> Admitted:
        task = self._finding.get(key)
        if task is None:
            task = self._finding[key] = asyncio.create_task(self._identify(token))
            edition = self.edition
            self._tasks.add(task)
            task.add_done_callback(lambda done: self._found_out(key, edition, done))
        return await asyncio.shield(task)

    def _found_out(self, key: bytes, edition: int, done: asyncio.Task[Admitted]) -> None:
        self._tasks.discard(done)
        failure = None if done.cancelled() else done.exception()
        if edition != self.edition:
            return
        self._finding.pop(key, None)
        if isinstance(failure, Refusal):
            if failure.problem.startswith("token_"):
                self._remember(key, failure, time.monotonic() + BAD_S)
        elif not failure and not done.cancelled():
            answer = done.result()
            self._remember(key, answer, min(time.monotonic() + GOOD_S, answer.caller.cache_until))

    def _remember(self, key: bytes, answer: Admitted | Refusal, until: float) -> None:
        self._remembered.pop(key, None)
        while len(self._remembered) >= MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[key] = _Remembered(answer, until)


def _given(answer: Admitted | Refusal) -> Admitted:
    if isinstance(answer, Refusal):
        raise answer.again()
    return answer
