"""What the account directory (NSS: files, SSSD, LDAP) and the site's policy say of an account, remembered for a short
time.

A directory may hang: each look-up has a thread of its own, one for an account at a time, and nobody waits for it
longer than a few seconds. While the directory does not answer, an answer of the last minutes still counts.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from teapot import accounts
from teapot.authority.own_thread import in_own_thread
from teapot.channel import spawner_messages
from teapot.configuration import Accounts

log = logging.getLogger(__name__)

PATIENCE_S = 4.0
REMEMBERED_S = 30.0
STALE_S = 300.0
_MAX_REMEMBERED = 10_000
_MAX_LOOK_UPS = 32  # at the same time; the others wait their turn


class DirectoryUnavailable(Exception):
    """It does not answer, or reports an error: nobody knows what the account is at present."""


class Standing(NamedTuple):
    name: str  # as the directory writes it: one account has one name
    fingerprint: str  # of uid, gid and groups; "" for an account that is unknown
    objection: str  # why it is not served, for the log; "": it may be


class _Remembered(NamedTuple):
    standing: Standing
    since: float


def standing(name: str, policy: Accounts) -> Standing:
    """Asks the directory: may take for ever. OSError when it reports an error."""
    try:
        account, objection = accounts.examine(name, policy)
    except accounts.UnknownAccount:
        return Standing(name, "", "the directory does not know it")
    print_ = spawner_messages.fingerprint(account.uid, account.gid, account.groups)
    return Standing(account.name, print_, objection)


class AccountDirectory:
    """single: in single-account mode the only account that is served; the directory is not asked then."""

    def __init__(
        self,
        policy: Accounts,
        single: str = "",
        ask: Callable[[str, Accounts], Standing] = standing,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._policy, self._single, self._ask, self._patience_s = policy, single, ask, patience_s
        self._remembered: dict[str, _Remembered] = {}
        self._asking: dict[str, asyncio.Task[Standing]] = {}
        self._turns = asyncio.Semaphore(_MAX_LOOK_UPS)

    async def standing(self, name: str, fresh: bool = False) -> Standing:
        """DirectoryUnavailable. fresh: as the directory has it now, not as it is remembered."""
        if self._single:
            return Standing(
                name, "", "" if name == self._single else f"only {self._single} is served (single-account mode)"
            )
        known = self._remembered.get(name)
        if known and not fresh and time.monotonic() - known.since < min(REMEMBERED_S, self._policy.recheck_s):
            return known.standing
        try:
            return await self._asked(name)
        except DirectoryUnavailable as unavailable:
            if fresh or not known or time.monotonic() - known.since > STALE_S:
                raise
            log.error("account %s: %s: an older answer is used", name, unavailable)
            return known.standing

    async def close(self) -> None:
        for task in self._asking.values():
            task.cancel()
        if self._asking:
            await asyncio.wait(set(self._asking.values()), timeout=1)

    async def _asked(self, name: str) -> Standing:
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.create_task(self._look_up(name))
            task.add_done_callback(lambda done: self._asked_for(name, done))
        done, _ = await asyncio.wait({task}, timeout=self._patience_s)
        if not done or task.cancelled():
            raise DirectoryUnavailable("the account directory does not answer")
        return task.result()

    def _asked_for(self, name: str, done: asyncio.Task[Standing]) -> None:
        del self._asking[name]
        if done.cancelled() or done.exception():
            return
        self._remembered.pop(name, None)
        while len(self._remembered) >= _MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[name] = _Remembered(done.result(), time.monotonic())

    async def _look_up(self, name: str) -> Standing:
        async with self._turns:
            try:
                found = await in_own_thread("account look-up", lambda: self._ask(name, self._policy))
            except Exception as failed:  # whatever the directory's plug-ins raise is an answer that is missing
                raise DirectoryUnavailable(f"{type(failed).__name__} {failed}") from failed
        if found.objection:
            log.warning("account %s is not served: %s", name, found.objection)
        return found
