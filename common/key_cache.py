"""Keeps one issuer's signing keys: fresh for an hour, usable for two days while the issuer is away, fetched again for
an unknown key.

One fetch at a time, in a task of its own, so that nobody who asks can break it off or make two; between fetches there
is a pause, whoever asks how often. `use` and `pause_s` decide, `KeyCache` does.
"""

import asyncio
import enum
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from common.https_json import FetchFailed
from common.signing_keys import Key, fitting, read_keys

log = logging.getLogger(__name__)

FRESH_S = 3600.0
TRUSTED_UNASKED_S = 6 * 3600.0  # older keys are used only after the issuer was asked: it may have withdrawn one
USABLE_S = 2 * 86400.0
PAUSE_S = 30.0
MAX_WAITING = 256  # for one issuer: whoever comes then is not kept waiting, or a silent issuer would keep those of others waiting


class Use(enum.Enum):
    AT_ONCE = enum.auto()
    AND_FETCH_MEANWHILE = enum.auto()
    AFTER_FETCHING = enum.auto()


def use(age_s: float) -> Use:
    """What to do first when somebody needs keys that were fetched so long ago."""
    if age_s <= FRESH_S:
        return Use.AT_ONCE
    return Use.AND_FETCH_MEANWHILE if age_s <= TRUSTED_UNASKED_S else Use.AFTER_FETCHING


def pause_s(failures: int) -> float:
    """Between two fetches: short after the first failures, so that an issuer that was away for a moment is found
    again.
    """
    return min(PAUSE_S, 2.0**failures) if failures else PAUSE_S


class KeyCache:
    """patience_s: how long anybody is kept waiting for a fetch; the fetch itself has its own deadline."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[dict[str, Any]]],
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch, self._patience_s, self._clock = fetch, patience_s, clock
        self._keys: tuple[Key, ...] = ()
        self._fetched = self._tried = float("-inf")
        self._failures = 0
        self._failure = "no answer yet"
        self._fetching: asyncio.Task[None] | None = None
        self._waiting = 0
        self.fetches: Counter[str] = Counter()  # by outcome: ok, failed

    @property
    def age_s(self) -> float:
        return self._clock() - self._fetched

    async def candidates(self, key_id: str | None, algorithm: str) -> tuple[Key, ...]:
        """Keys that a token with this header may be signed with; none: the issuer has no such key. FetchFailed:
        nobody knows.
        """
        todo = use(self.age_s)
        if todo is Use.AND_FETCH_MEANWHILE:
            self._begin_fetch()
        if todo is Use.AFTER_FETCHING:
            await self.renewed()
        found = fitting(self._keys, key_id, algorithm)
        if not found and self._keys and await self.renewed():
            found = fitting(self._keys, key_id, algorithm)
        if self.age_s > USABLE_S:
            raise FetchFailed(self._failure)
        return found

    async def renewed(self) -> bool:
        """Ask the issuer again unless that was done a moment ago; True: there is an answer newer than before."""
        before, task = self._fetched, self._begin_fetch()
        if task is not None and self._waiting < MAX_WAITING:
            await self._wait_for(task)
        return self._fetched > before

    async def _wait_for(self, task: asyncio.Task[None]) -> None:
        self._waiting += 1
        try:
            await asyncio.wait({task}, timeout=self._patience_s)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})

    def _begin_fetch(self) -> asyncio.Task[None] | None:
        if self._fetching is None:
            if self._clock() - self._tried < pause_s(self._failures):
                return None
            self._tried = self._clock()
            self._fetching = asyncio.create_task(self._fetch_once())
        return self._fetching

    async def _fetch_once(self) -> None:
        try:
            keys = read_keys(await self._fetch())
        except FetchFailed as failed:
            self._failures += 1
            self._failure = str(failed)
            self.fetches["failed"] += 1
            log.warning("signing keys: %s", failed)
        else:
            self._keys, self._fetched, self._failures = keys, self._clock(), 0
            self.fetches["ok"] += 1
        finally:
            self._fetching = None
