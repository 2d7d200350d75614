"""Hears from ALISE what changes (a long poll), so that an unlink or a rename is acted upon at once, wherever it was known.

While this runs, links may be remembered for long. What is said to have changed is void at once, here and in the gateways;
then ALISE is asked again who had an account, and only an account that is really lost costs its worker. An ALISE that has
no such feed is asked for it again from time to time.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from teapot.authority.alise_answers import AliseUnavailable, Changes, KeyRefused, Linked, NoSuchPath, NotLinked, Outcome, Subject, TooLong
from teapot.authority.alise_links import AliseLinks, Coverage

log = logging.getLogger(__name__)

PAUSE_S, LONGEST_PAUSE_S = 0.2, 3.0
UNTOLD_PAUSE_S = 60.0  # after it was found that this ALISE tells of nothing
REFUSED_PAUSE_S = 30.0  # a key that is refused again and again looks like one that is being guessed
IDLE_PAUSE_S = 0.5  # after an answer without changes: one that comes too early must not make a busy loop


class Teller(Protocol):
    async def changes(self, since: int | None) -> Changes: ...

    async def resolve_many(self, subjects: Sequence[Subject]) -> list[Outcome]: ...


class AliseFeed:
    """changed: is told that what is known is void, and then, as AliseLinks, which accounts somebody has lost."""

    def __init__(
        self, teller: Teller, links: AliseLinks, coverage: Coverage, changed: Callable[[frozenset[str]], None]
    ) -> None:
        self._teller, self._links, self._coverage, self._changed = teller, links, coverage, changed
        self._since: int | None = None
        self._failures = 0

    async def follow(self) -> None:
        while True:
            try:
                await self._hear()
            except NoSuchPath:
                self._untold()
                await asyncio.sleep(UNTOLD_PAUSE_S)
            except AliseUnavailable as unavailable:
                pause_s = self._failed(unavailable)
                await asyncio.sleep(REFUSED_PAUSE_S if isinstance(unavailable, KeyRefused) else pause_s)

    async def _hear(self) -> None:
        began, told = time.monotonic(), await self._told()
        self._failures = 0
        if self._since is None or told.reset or told.next < self._since:
            await self._begin(told)
            return
        self._since = told.next
        self._coverage.goes_on(time.monotonic())
        if told.subjects:
            await self._act(told.subjects)
        elif time.monotonic() - began < IDLE_PAUSE_S:
            await asyncio.sleep(IDLE_PAUSE_S)

    async def _told(self) -> Changes:
        try:
            return await self._teller.changes(self._since)
        except TooLong:
            return (await self._teller.changes(None))._replace(reset=True)  # as if so much had changed that it cannot be told

    async def _begin(self, told: Changes) -> None:
        """What was known before may have changed without our hearing of it."""
        again, self._since = self._since is not None, told.next
        self._coverage.begins(time.monotonic())
        if again:
            log.warning("ALISE cannot tell what has changed since: everything that was known of links is asked for again")
            await self._confirm(self._links.forget_everybody(), presumed_lost=False)
        else:
            log.info("ALISE tells of changes")

    async def _act(self, changed: Sequence[Subject]) -> None:
        accounts = self._links.forget({form for subject in changed for form in _forms(subject)})
        if accounts is None:
            return
        await self._confirm(accounts, presumed_lost=True)

    async def _confirm(self, accounts: dict[Subject, str], presumed_lost: bool) -> None:
        """presumed_lost: what to do when ALISE cannot be asked now."""
        self._changed(frozenset())
        subjects = list(accounts)
        if not subjects:
            return
        asked = time.monotonic()
        try:
            now = await self._teller.resolve_many(subjects)
            self._links.learn(dict(zip(subjects, now, strict=True)), asked)
        except AliseUnavailable as unavailable:
            log.error("ALISE: what has changed cannot be asked for: %s", unavailable)
            now = [NotLinked() if presumed_lost else Linked(accounts[subject]) for subject in subjects]
        gone = {accounts[subject] for subject, outcome in zip(subjects, now, strict=True) if outcome != Linked(accounts[subject])}
        if gone:
            self._changed(frozenset(gone))

    def _untold(self) -> None:
        if self._since is not None or not self._failures:
            log.info("this ALISE does not tell of changes: a link counts for a short time only")
        self._since, self._failures = None, 1
        self._coverage.ends()

    def _failed(self, unavailable: AliseUnavailable) -> float:
        self._failures += 1
        if self._failures == 1:
            log.warning("ALISE does not tell of changes at present: %s", unavailable)
        return min(LONGEST_PAUSE_S, PAUSE_S * 2.0 ** min(self._failures - 1, 10))


def _forms(subject: Subject) -> tuple[Subject, Subject]:
    """An issuer may be registered with a slash that its tokens do not have, or without one that they have."""
    bare = subject.issuer.rstrip("/")
    return subject._replace(issuer=bare), subject._replace(issuer=f"{bare}/")
