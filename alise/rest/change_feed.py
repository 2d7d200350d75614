"""Tells services what has changed as soon as it is committed, by whichever process: one look at the last number for all who wait."""

import asyncio
import logging
from typing import NamedTuple

from alise.storage.lookup import Change, Lookup
from alise.storage.rows import DatabaseAway

log = logging.getLogger(__name__)

LOOK_S = 0.2
AWAY_S = 2.0  # after a look that failed
MOST = 1000  # in one answer; the rest comes with the next


class Told(NamedTuple):
    changes: tuple[Change, ...]
    next: int
    reset: bool = False  # the number is none of this database's: it was restored from a copy


class ChangeFeed:
    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._latest, self._waiting = 0, 0
        self._moved = asyncio.Event()
        self._somebody = asyncio.Event()
        self._closing = False

    async def since(self, site: str, since: int | None, wait_s: float) -> Told:
        """Waits, `wait_s` at most, until there is something. DatabaseAway."""
        latest = await self._lookup.latest_change()
        if since is None:
            return Told((), latest)
        if since > latest:
            return Told((), latest, reset=True)
        deadline, seen = asyncio.get_running_loop().time() + wait_s, latest
        while True:
            changes = tuple(await self._lookup.changes(site, since, MOST))
            if changes:
                return Told(changes, changes[-1].seq)
            if not await self._moves_on(seen, deadline):
                return Told((), seen)
            seen = self._latest

    async def look_from_time_to_time(self) -> None:
        while True:
            await self._somebody.wait()
            await asyncio.sleep(LOOK_S)
            try:
                latest = await self._lookup.latest_change()
            except Exception as failed:  # whatever it was: nobody else looks, and who waits must hear of what comes after it
                log.warning("changes cannot be looked for: %s", failed, exc_info=not isinstance(failed, DatabaseAway))
                await asyncio.sleep(AWAY_S)
                continue
            if latest != self._latest:
                self._latest = latest
                self._wake()

    def close(self) -> None:
        """Who waits is answered now."""
        self._closing = True
        self._wake()

    async def _moves_on(self, seen: int, deadline: float) -> bool:
        """Whether something was committed, at any site, before the deadline."""
        self._waiting += 1
        self._somebody.set()
        try:
            async with asyncio.timeout_at(deadline):
                while self._latest <= seen and not self._closing:
                    await self._moved.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._somebody.clear()
        return not self._closing

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
