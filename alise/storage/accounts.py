"""The accounts of a site's people: who logged in as which, and what has happened to them.

An account belongs to the (issuer, subject) that logged in as it first, and keeps its user name. Whoever comes with another name, or with
somebody else's, is refused until an administrator decides: a name that was given anew would bring the links of the one before.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alise.storage.audit import Record, append
from alise.storage.browser import Identity
from alise.storage.catalogue import Catalogue
from alise.storage.database import one_row, reading, writing
from alise.storage.people import Account, Event, LinkRefused
from alise.storage.tables import account, audit
from alise.storage.usernames import UsernamePolicy

_MOST_EVENTS = 100
_LONGEST_SHOWN = 80
_SHOWN = ("login", "linked", "unlinked", "refused", "suspended", "resumed")


class Keeping(NamedTuple):
    """Where and by which rules accounts and links are kept."""

    engine: AsyncEngine
    catalogue: Catalogue
    usernames: Mapping[str, UsernamePolicy]  # by site
    clock: Callable[[], float] = time.time


class Accounts:
    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping

    async def log_in(self, site: str, person: Identity, username: str, request_id: str = "") -> Account:
        """LinkRefused bad_username, username_changed, suspended."""
        who = Account(site, person.issuer, person.subject, username)
        async with writing(self._keeping.engine) as connection:
            refusal = await self._settle(connection, who, person)
            action = "login_refused" if refusal else "login"
            detail = {"shown": person.display_name or person.subject, "acr": person.acr, "amr": person.amr, "code": refusal}
            if refusal == "bad_username":  # it is nobody's activity, and may be anything
                detail["wanted"] = ascii(username[:_LONGEST_SHOWN])
            whose = "" if refusal == "bad_username" else username
            record = Record(self._keeping.clock(), actor(person), action, site, whose, detail, request_id)
            await append(connection, record)
        if refusal:
            raise LinkRefused(refusal)
        return who

    async def account_for(self, site: str, person: Identity, username: str) -> Account:
        """As log_in made it, if it still is so: LinkRefused username_changed, suspended."""
        who = Account(site, person.issuer, person.subject, username)
        async with reading(self._keeping.engine).connect() as connection:
            row = await self.row_of(connection, who)
        if row is None or row.username != username:
            raise LinkRefused("username_changed")
        if row.status != "active":
            raise LinkRefused("suspended")
        return who

    async def events_of(self, who: Account) -> Sequence[Event]:
        """The latest first."""
        mine = (audit.c.site == who.site) & (audit.c.account == who.username) & audit.c.action.in_(_SHOWN)
        wanted = select(audit.c.at, audit.c.action, audit.c.detail).where(mine).order_by(audit.c.seq.desc()).limit(_MOST_EVENTS)
        async with reading(self._keeping.engine).connect() as connection:
            return [Event(row.at, row.action, _shown(row.detail)) for row in await connection.execute(wanted)]

    async def row_of(self, connection: AsyncConnection, who: Account) -> Any:
        """By the person, not by the name."""
        site_id, issuer_id = self._keeping.catalogue.sites[who.site], self._keeping.catalogue.issuers[who.issuer]
        theirs = (account.c.site_id == site_id) & (account.c.issuer_id == issuer_id) & (account.c.subject == who.subject)
        return await one_row(connection, select(account).where(theirs))

    async def _settle(self, connection: AsyncConnection, who: Account, person: Identity) -> str:
        """The code of a refusal; "": the account is theirs, and up to date."""
        if not self._keeping.usernames[who.site].allows(who.username):
            return "bad_username"
        row = await self.row_of(connection, who)
        if row is None:
            return await self._first_login(connection, who, person)
        if row.username != who.username:
            return "username_changed"
        if row.status != "active":
            return "suspended"
        await connection.execute(update(account).where(account.c.id == row.id).values(**self._known_of(person)))
        return ""

    async def _first_login(self, connection: AsyncConnection, who: Account, person: Identity) -> str:
        site_id, issuer_id = self._keeping.catalogue.sites[who.site], self._keeping.catalogue.issuers[who.issuer]
        named = (account.c.site_id == site_id) & (account.c.username == who.username)
        row = await one_row(connection, select(account).where(named))
        if row is None:
            mine = {"site_id": site_id, "issuer_id": issuer_id, "subject": who.subject, "username": who.username}
            await connection.execute(
                insert(account).values(**mine, **self._known_of(person), status="active", created_at=self._keeping.clock())
            )
            return ""
        if row.subject is not None or row.issuer_id != issuer_id:
            return "username_changed"
        if row.status != "active":
            return "suspended"
        await connection.execute(update(account).where(account.c.id == row.id).values(subject=who.subject, **self._known_of(person)))
        return ""

    def _known_of(self, person: Identity) -> dict[str, Any]:
        return {"display_name": person.display_name, "email": person.email, "last_login_at": self._keeping.clock()}


def actor(person: Identity) -> str:
    return f"browser: {person.subject} at {person.issuer}"


def _shown(detail: str) -> str:
    return str(msgspec.json.decode(detail).get("shown", ""))
