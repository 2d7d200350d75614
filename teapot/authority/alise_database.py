"""ALISE by its database, where both run on one machine: nothing is asked of ALISE's processes, and nothing is written.

Three views are read, and a database role that may see nothing else is enough:

    service_site    site
    service_link    site, issuer, subject, username, state      state: active, or out of use; what is revoked is not there
    service_change  site, seq, issuer, subject                  seq grows in the order in which changes are committed
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Protocol

from teapot.authority.alise_answers import Changes, Linked, NotLinked, Outcome, Subject, Suspended, Unintelligible

LOOK_S = 1.0  # how often it is looked for changes
WAIT_S = 10.0
_MAX_CHANGES = 1000

_LINK = "SELECT username, state FROM service_link WHERE site = $1 AND subject = $2 AND issuer IN ($3, $4)"
_SITE = "SELECT 1 FROM service_site WHERE site = $1"
_LATEST = "SELECT coalesce(max(seq), 0) FROM service_change WHERE site = $1"
_CHANGES = f"SELECT seq, issuer, subject FROM service_change WHERE site = $1 AND seq > $2 ORDER BY seq LIMIT {_MAX_CHANGES}"


class Rows(Protocol):
    """A database. AliseUnavailable when it does not answer in time."""

    async def rows(self, statement: str, *values: str | int) -> list[tuple[Any, ...]]: ...

    async def close(self) -> None: ...


class AliseDatabase:
    """As AliseService."""

    def __init__(self, database: Rows, site: str) -> None:
        self._database, self._site = database, site

    async def resolve(self, subject: Subject) -> Outcome:
        bare = subject.issuer.rstrip("/")
        found = await self._database.rows(_LINK, self._site, subject.subject, bare, f"{bare}/")
        if not found:
            await self._require_site()
            return NotLinked()
        if len(found) > 1:
            raise Unintelligible("its database has more than one link of this identity")
        username, state = _texts(found[0])
        return Linked(username) if state == "active" else Suspended()

    async def resolve_many(self, subjects: Sequence[Subject]) -> list[Outcome]:
        return [await self.resolve(subject) for subject in subjects]

    async def changes(self, since: int | None) -> Changes:
        if since is None:
            return Changes((), await self._latest(), False)
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            found = await self._database.rows(_CHANGES, self._site, since)
            if found:
                return Changes(tuple(Subject(*_texts(row[1:])) for row in found), int(found[-1][0]), False)
            latest = await self._latest()
            if latest < since:
                return Changes((), latest, True)
            await asyncio.sleep(LOOK_S)
        return Changes((), since, False)

    async def close(self) -> None:
        await self._database.close()

    async def _latest(self) -> int:
        return int((await self._database.rows(_LATEST, self._site))[0][0])

    async def _require_site(self) -> None:
        """Of a site that is misspelt nobody is linked either."""
        if not await self._database.rows(_SITE, self._site):
            raise Unintelligible(f"its database knows no site {self._site!r}")


def _texts(row: tuple[Any, ...]) -> tuple[str, str]:
    one, other = row
    if not isinstance(one, str) or not isinstance(other, str):
        raise Unintelligible("its views hold what is no text")
    return one, other
