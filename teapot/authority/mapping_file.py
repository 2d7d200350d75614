"""The site's own table of identities: lines of `account subject [issuer]`, quoted as in a shell, comments on lines of
their own.

The file is looked at every second, and once more before an identity counts as unknown; it is read when it has come to
rest, so that one that is just being written is not taken for a short one. A file that cannot be read, or says
nonsense, makes everybody's account unknown (mapping_unavailable), never anybody "not mapped".
"""

import asyncio
import logging
import os
import shlex
import stat
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from teapot.accounts import is_account_name
from teapot.authority.own_thread import in_own_thread
from teapot.authority.refusal import Refusal

log = logging.getLogger(__name__)

CHECK_S = 1.0
REST_S = 0.2
_READ_S = 5.0
_MAX_FILE_BYTES = 64 << 20

Accounts = dict[tuple[str, str], str]  # (issuer, subject): account


class BadMapping(ValueError):
    """Names the line and what is wrong with it."""


class Table(NamedTuple):
    version: tuple[int, int, int]  # inode, size, time of the last change: another one is another content
    accounts: Accounts


def parse(text: str, issuers: Iterable[str]) -> Accounts:
    known = frozenset(issuers)
    found: Accounts = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        account, identity = _entry(number, line, known)
        if found.setdefault(identity, account) != account:
            raise BadMapping(f"line {number}: this identity has another account already")
    return found


def _entry(number: int, line: str, issuers: frozenset[str]) -> tuple[str, tuple[str, str]]:
    try:
        account, subject, *rest = shlex.split(line)
    except ValueError as wrong:
        raise BadMapping(f"line {number}: must be: account subject [issuer]") from wrong
    if len(rest) > 1 or not subject or not is_account_name(account):
        raise BadMapping(f"line {number}: must be: account subject [issuer]; what holds a blank is quoted")
    if not rest and len(issuers) != 1:
        raise BadMapping(f"line {number}: more than one issuer is configured: name the one that is meant")
    if rest and "://" not in rest[0]:
        raise BadMapping(f"line {number}: the issuer must be a URL, as in its tokens")
    return account, (rest[0] if rest else next(iter(issuers)), subject)


class MappingFile:
    def __init__(self, path: str, issuers: tuple[str, ...], changed: Callable[[frozenset[str]], None]) -> None:
        """changed: is told that identities have changed, and which accounts nobody is mapped to any more."""
        self._path, self._issuers, self._changed = path, issuers, changed
        self._table: Table | None = None
        self._failure = "not read yet"
        self._checking: asyncio.Task[None] | None = None

    @property
    def available(self) -> bool:
        return not self._failure

    async def account(self, issuer: str, subject: str) -> str | None:
        """None: not in the file. Refusal mapping_unavailable."""
        if self._failure or (issuer, subject) not in self._accounts():
            await self.check()
        if self._failure:
            raise Refusal("mapping_unavailable", f"{self._path}: {self._failure}")
        return self._accounts().get((issuer, subject))

    def named(self, accounts: frozenset[str]) -> frozenset[str]:
        """Those of them that somebody is mapped to."""
        return accounts.intersection(self._accounts().values())

    async def watch(self) -> None:
        while True:
            await self.check()
            await asyncio.sleep(CHECK_S)

    async def check(self) -> None:
        """Read the file if it has changed. A file system that hangs keeps nobody waiting for ever."""
        if self._checking is None:
            self._checking = asyncio.create_task(self._check())
        done, _ = await asyncio.wait({self._checking}, timeout=_READ_S)
        if not done:
            self._fail("the file system does not answer")

    async def _check(self) -> None:
        try:
            self._take(await in_own_thread("mapping file", lambda: _read(self._path, self._table, self._issuers)))
        except (OSError, ValueError) as failed:
            self._fail(f"{failed.strerror or failed}" if isinstance(failed, OSError) else str(failed))
        finally:
            self._checking = None

    def _take(self, table: Table) -> None:
        if self._failure or table is not self._table:
            log.info("%s: %d identities", self._path, len(table.accounts))
            for issuer in sorted({issuer for issuer, _ in table.accounts}.difference(self._issuers)):
                log.warning("%s: the issuer %r is not configured", self._path, issuer)
        before, self._table, self._failure = self._table, table, ""
        if before is not None and before.accounts != table.accounts:
            self._changed(frozenset(before.accounts.values()).difference(table.accounts.values()))

    def _fail(self, failure: str) -> None:
        if failure != self._failure:
            log.error("%s: %s", self._path, failure)
        self._failure = failure

    def _accounts(self) -> Accounts:
        return self._table.accounts if self._table else {}


def _read(path: str, known: Table | None, issuers: tuple[str, ...]) -> Table:
    """In a thread. The known table if the file is still that."""
    with open(path, "rb") as file:
        status = _rested(file.fileno())
        if status.st_mode & stat.S_IWOTH:
            raise BadMapping("everybody can write to it: chmod o-w it")
        version = (status.st_ino, status.st_size, status.st_mtime_ns)
        if known and version == known.version:
            return known
        if status.st_size > _MAX_FILE_BYTES:
            raise BadMapping(f"more than {_MAX_FILE_BYTES} bytes")
        return Table(version, parse(file.read(_MAX_FILE_BYTES).decode(), issuers))


def _rested(descriptor: int) -> os.stat_result:
    """What the file is once nobody has written for a moment, or after a second of waiting for that."""
    for _ in range(5):
        status = os.fstat(descriptor)
        if not 0 <= time.time() - status.st_mtime < REST_S:
            break
        time.sleep(REST_S)
    return status
