"""Links: an identity from elsewhere belongs to an account here. Each call is one transaction with its audit record and its change.

An identity is linked to one account of a site, whoever writes: that is a constraint of the database (link_of_identity in tables.py).
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alise.storage import changes
from alise.storage.accounts import Accounts, Keeping, actor
from alise.storage.audit import Record, append
from alise.storage.browser import Identity
from alise.storage.database import one_row, reading, writing
from alise.storage.people import Account, Link, LinkRefused
from alise.storage.tables import account, identity, issuer, link

IN_USE = ("active", "suspended")


class Links:
    def __init__(self, keeping: Keeping, accounts: Accounts) -> None:
        self._keeping, self._accounts = keeping, accounts

    async def links_of(self, who: Account) -> Sequence[Link]:
        """Those that count, and those that are suspended, in the order in which they were made."""
        async with reading(self._keeping.engine).connect() as connection:
            row = await self._accounts.row_of(connection, who)
            if row is None:
                return []
            wanted = _SHOWN.where(link.c.account_id == row.id, link.c.status.in_(IN_USE)).order_by(link.c.id)
            return [_link(found) for found in await connection.execute(wanted)]

    async def link(self, who: Account, person: Identity, proof: Identity, request_id: str) -> Link:
        """`person`: the login at the site, `proof`: the one of the identity. LinkRefused."""
        async with writing(self._keeping.engine) as connection:
            row = await self._accounts.row_of(connection, who)
            refusal = _why_not(row, who)
            if row is not None and not refusal:
                refusal = await self._taken(connection, row, who, proof, request_id)
            if row is not None and not refusal:
                made = await self._make(connection, row, proof)
                await self._record(connection, who, "linked", actor(person), _both(person, proof), request_id)
                await self._change(connection, "linked", who.site, proof.issuer, proof.subject)
        if refusal:
            raise LinkRefused(refusal)
        return made

    async def unlink(self, who: Account, link_id: str, request_id: str) -> bool:
        """False: there is no such link of theirs, or it is suspended: taken away, it could be made anew."""
        async with writing(self._keeping.engine) as connection:
            row = await self._accounts.row_of(connection, who)
            found = await self._active(connection, row, link_id) if row is not None else None
            if found is None:
                return False
            ended = {"status": "revoked", "ended_at": self._keeping.clock()}
            await connection.execute(update(link).where(link.c.id == found.id).values(**ended))
            by = f"browser: {who.subject} at {who.issuer}"
            await self._record(connection, who, "unlinked", by, _named(found), request_id)
            await self._change(connection, "unlinked", who.site, found.issuer, found.subject)
        return True

    async def _taken(self, connection: AsyncConnection, row: Any, who: Account, proof: Identity, request_id: str) -> str:
        """Why this identity cannot be linked: it is. Both who have it and who wanted it are told, neither who the other is."""
        theirs = (identity.c.subject == proof.subject) & (issuer.c.url == proof.issuer) & (link.c.site_id == row.site_id)
        owners = _JOINED.join(account, account.c.id == link.c.account_id)
        wanted = select(link.c.status, account.c.id, account.c.username).select_from(owners).where(theirs, link.c.status.in_(IN_USE))
        found = await one_row(connection, wanted)
        if found is None:
            return ""
        if found.id == row.id:
            return "already_linked" if found.status == "active" else "suspended"
        detail = {"shown": proof.display_name or proof.subject, "iss": proof.issuer, "sub": proof.subject, "wanted_by": who.username}
        await self._record(connection, who._replace(username=found.username), "refused", actor(proof), detail, request_id)
        await self._record(connection, who, "link_refused", actor(proof), {**detail, "owner": found.username}, request_id)
        return "linked_elsewhere"

    async def _make(self, connection: AsyncConnection, row: Any, proof: Identity) -> Link:
        now, identity_id = self._keeping.clock(), await self._identity(connection, proof)
        new = {"site_id": row.site_id, "account_id": row.id, "identity_id": identity_id, "status": "active", "origin": "web"}
        number = (await connection.execute(insert(link).values(**new, created_at=now).returning(link.c.id))).scalar_one()
        return Link(str(number), proof.issuer, proof.subject, proof.display_name, proof.email, proof.assurance, now, None)

    async def _identity(self, connection: AsyncConnection, proof: Identity) -> int:
        """Its row, with what its provider has just said of it."""
        issuer_id = self._keeping.catalogue.issuers[proof.issuer]
        said = {"display_name": proof.display_name, "email": proof.email, "acr": proof.acr, "last_login_at": proof.authenticated_at or None}
        said |= {"assurance": msgspec.json.encode(proof.assurance).decode()}
        theirs = (identity.c.issuer_id == issuer_id) & (identity.c.subject == proof.subject)
        known = (await connection.execute(update(identity).where(theirs).values(**said).returning(identity.c.id))).scalar_one_or_none()
        if known is not None:
            return int(known)
        new = insert(identity).values(issuer_id=issuer_id, subject=proof.subject, **said).returning(identity.c.id)
        return int((await connection.execute(new)).scalar_one())

    async def _active(self, connection: AsyncConnection, row: Any, link_id: str) -> Any:
        if not link_id.isdecimal() or len(link_id) > 18:
            return None
        mine = (link.c.id == int(link_id)) & (link.c.account_id == row.id) & (link.c.status == "active")
        return await one_row(connection, _SHOWN.where(mine))

    async def _record(
        self, connection: AsyncConnection, who: Account, action: str, by: str, detail: dict[str, Any], request_id: str
    ) -> None:
        await append(connection, Record(self._keeping.clock(), by, action, who.site, who.username, detail, request_id))

    async def _change(self, connection: AsyncConnection, operation: changes.Operation, site: str, url: str, subject: str) -> None:
        numbers = self._keeping.catalogue
        await changes.append(connection, operation, self._keeping.clock(), [(numbers.sites[site], numbers.issuers[url], subject)])


_JOINED = link.join(identity, identity.c.id == link.c.identity_id).join(issuer, issuer.c.id == identity.c.issuer_id)
_SHOWN = select(
    link.c.id,
    issuer.c.url.label("issuer"),
    identity.c.subject,
    identity.c.display_name,
    identity.c.email,
    identity.c.assurance,
    link.c.created_at,
    link.c.used_at,
    (link.c.status == "suspended").label("suspended"),
).select_from(_JOINED)


def _why_not(row: Any, who: Account) -> str:
    if row is None or row.username != who.username:
        return "username_changed"
    return "" if row.status == "active" else "suspended"


def _link(row: Any) -> Link:
    assurance = tuple(msgspec.json.decode(row.assurance))
    return Link(str(row.id), row.issuer, row.subject, row.display_name, row.email, assurance, row.created_at, row.used_at, row.suspended)


def _named(row: Any) -> dict[str, Any]:
    return {"shown": row.display_name or row.subject, "iss": row.issuer, "sub": row.subject, "link": row.id}


def _both(person: Identity, proof: Identity) -> dict[str, Any]:
    return {"shown": proof.display_name or proof.subject, "account": _proof(person), "identity": _proof(proof)}


def _proof(one: Identity) -> dict[str, Any]:
    """Who logged in where, when and how."""
    how = {"acr": one.acr, "amr": one.amr, "assurance": one.assurance}
    return {"iss": one.issuer, "sub": one.subject, "at": one.authenticated_at, **how}
