"""Watches the accounts that are being served: a changed group, a locked account or a removed mapping is acted upon
while workers run.

Every account with a live worker, or that a gateway may still reach, is looked up anew each round. A worker whose
groups are not those of the directory any more retires (open requests finish); one whose account is gone or not to be
served is ended, running transfers too. Accounts that nobody is mapped to any more count as not to be served, unless a
storage area names them. Somebody who is unlinked from an account that others still use is refused with the next
request, and its worker retires: what runs already finishes.
"""

import asyncio
import enum
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from teapot.authority.account_directory import AccountDirectory, DirectoryUnavailable, Standing
from teapot.authority.refusal import Refusal

log = logging.getLogger(__name__)

_SECOND_LOOK_S = 1.0  # at an account that seems to be gone: directories answer so while they start
_AT_A_TIME = 8


class Verdict(enum.Enum):
    KEEP = enum.auto()
    RETIRE = enum.auto()
    REVOKE = enum.auto()


class Serving(NamedTuple):
    """The youngest worker of an account."""

    pid: int
    fingerprint: str
    retiring: bool = False


class Orders(NamedTuple):
    """What a verdict does: forget voids what gateways and caches know, the others tell the spawner and may raise
    Refusal.
    """

    forget: Callable[[], None]
    retire: Callable[[str], Awaitable[None]]
    revoke: Callable[[str], Awaitable[None]]


def verdict(worker: Serving | None, now: Standing) -> Verdict:
    if now.objection:
        return Verdict.REVOKE
    changed = worker is not None and not worker.retiring and worker.fingerprint != now.fingerprint
    return Verdict.RETIRE if changed else Verdict.KEEP


class AccountWatch:
    def __init__(self, directory: AccountDirectory, named_by_areas: frozenset[str], orders: Orders) -> None:
        self._directory, self._named_by_areas, self._orders = directory, named_by_areas, orders
        self._workers: dict[str, Serving] = {}
        self._reachable: dict[str, float] = {}  # account: until when, monotonic
        self._unmapped: set[str] = set()
        self._fewer: set[str] = set()

    @property
    def watched(self) -> int:
        return len(self._workers.keys() | self._reachable.keys())

    def started(self, account: str, fingerprint: str, pid: int) -> None:
        self._workers[account] = Serving(pid, fingerprint)

    def ended(self, account: str, pid: int) -> None:
        if account in self._workers and self._workers[account].pid == pid:
            del self._workers[account]

    def allowed(self, account: str, until: float) -> None:
        self._reachable[account] = max(until, self._reachable.get(account, until))

    def unmapped(self, accounts: frozenset[str]) -> None:
        """Nobody is mapped to these any more."""
        self._unmapped |= accounts - self._named_by_areas
        self._fewer |= accounts & self._named_by_areas

    def fewer(self, accounts: frozenset[str]) -> None:
        """Somebody is not mapped to these any more, but others are."""
        self._fewer |= accounts

    def forget_workers(self) -> None:
        """A new spawner tells of its workers anew."""
        self._workers.clear()

    async def run(self, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            await self.look_again()

    async def end_unmapped(self) -> None:
        """A worker that served somebody who is to be served no more ends: at once, or, for the others' sake, when what it
        does is done.
        """
        for account in sorted(self._unmapped):
            await self._revoke(await self._canonical(account), "no identity is mapped to it any more")
            self._unmapped.discard(account)
        for account in sorted(self._fewer):
            await self._retire(await self._canonical(account), "somebody is not mapped to it any more")
            self._fewer.discard(account)

    async def look_again(self) -> None:
        """One round. What cannot be told the spawner, or asked of the directory, is tried again in the next one."""
        now = time.monotonic()
        self._reachable = {account: until for account, until in self._reachable.items() if until > now}
        turns = asyncio.Semaphore(_AT_A_TIME)
        await asyncio.gather(
            *(self._look_at(account, turns) for account in self._workers.keys() | self._reachable.keys())
        )

    async def _look_at(self, account: str, turns: asyncio.Semaphore) -> None:
        async with turns:
            try:
                await self._act(account, await self._standing(account))
            except DirectoryUnavailable as unavailable:
                log.error("account %s: %s", account, unavailable)
            except Refusal as refusal:
                log.error("account %s: %s: %s", account, refusal.problem, refusal.detail)

    async def _standing(self, account: str) -> Standing:
        standing = await self._directory.standing(account, fresh=True)
        if standing.fingerprint or not standing.objection:
            return standing
        await asyncio.sleep(_SECOND_LOOK_S)
        return await self._directory.standing(account, fresh=True)

    async def _act(self, account: str, standing: Standing) -> None:
        worker = self._workers.get(account)
        todo = verdict(worker, standing)
        if todo is Verdict.REVOKE:
            await self._revoke(account, standing.objection)
        elif todo is Verdict.RETIRE and worker:
            await self._retire(account, "its ids or groups have changed")

    async def _retire(self, account: str, why: str) -> None:
        worker = self._workers.get(account)
        if worker is None or worker.retiring:
            return
        log.warning("account %s: %s: its worker retires", account, why)
        self._orders.forget()
        await self._orders.retire(account)
        if self._workers.get(account) is worker:
            self._workers[account] = worker._replace(retiring=True)

    async def _revoke(self, account: str, why: str) -> None:
        if account not in self._workers and account not in self._reachable:
            return
        log.warning("account %s is served no more: %s", account, why)
        self._orders.forget()
        await self._orders.revoke(account)
        self._workers.pop(account, None)
        self._reachable.pop(account, None)

    async def _canonical(self, account: str) -> str:
        try:
            return (await self._directory.standing(account)).name
        except DirectoryUnavailable:
            return account
