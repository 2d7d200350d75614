"""What administrators do to links: make one for somebody, take one away or out of use, look. Each is audited with who did it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alise.storage import changes
from alise.storage.accounts import Keeping
from alise.storage.audit import Record, append
from alise.storage.database import one_row, reading, writing
from alise.storage.links import IN_USE
from alise.storage.tables import account, identity, issuer, link, site


class CannotChange(Exception):
    """The text says why, and what to do."""


class ListedLink(NamedTuple):
    id: int
    site: str
    username: str
    issuer: str
    subject: str
    status: str
    origin: str
    created_at: float
    used_at: float | None


class NewLink(NamedTuple):
    site: str
    username: str
    issuer: str
    subject: str


_CHANGES: dict[str, tuple[tuple[str, ...], str, changes.Operation]] = {
    "revoke": (IN_USE, "revoked", "unlinked"),
    "suspend": (("active",), "suspended", "suspended"),
    "resume": (("suspended",), "active", "resumed"),
}


class Administration:
    def __init__(self, keeping: Keeping, by: str) -> None:
        self._keeping, self._by = keeping, by

    async def add(self, new: NewLink, site_issuer: str) -> int:
        """The link's id. Who logs in first with the username at the site gets the account. CannotChange."""
        self._require_known(new)
        async with writing(self._keeping.engine) as connection:
            identity_id = await self._identity(connection, new)
            await self._require_free(connection, new, identity_id)
            account_id = await self._account(connection, new, site_issuer)
            site_id = self._keeping.catalogue.sites[new.site]
            values = {"site_id": site_id, "account_id": account_id, "identity_id": identity_id, "status": "active", "origin": "cli"}
            made = insert(link).values(**values, created_at=self._keeping.clock()).returning(link.c.id)
            number = int((await connection.execute(made)).scalar_one())
            await self._tell(connection, "linked", "linked", number, new)
        return number

    async def change(self, link_id: int, what: str) -> None:
        """what: revoke, suspend or resume. CannotChange."""
        before, after, operation = _CHANGES[what]
        async with writing(self._keeping.engine) as connection:
            row = await one_row(connection, _LISTED.where(link.c.id == link_id))
            if row is None or row.status not in before:
                state = "there is no such link" if row is None else f"it is {row.status}"
                raise CannotChange(f"link {link_id} cannot be changed by {what}: {state}; `alise links list` shows all")
            ended = self._keeping.clock() if after == "revoked" else None
            await connection.execute(update(link).where(link.c.id == link_id).values(status=after, ended_at=ended))
            await self._tell(connection, operation, operation, link_id, NewLink(row.site, row.username, row.issuer, row.subject))

    async def listed(self, site_name: str | None, username: str | None, *, revoked: bool) -> Sequence[ListedLink]:
        wanted = _LISTED.order_by(site.c.name, account.c.username, link.c.id)
        if not revoked:
            wanted = wanted.where(link.c.status.in_(IN_USE))
        if site_name is not None:
            wanted = wanted.where(site.c.name == site_name)
        if username is not None:
            wanted = wanted.where(account.c.username == username)
        async with reading(self._keeping.engine).connect() as connection:
            return [ListedLink(*row) for row in await connection.execute(wanted)]

    def _require_known(self, new: NewLink) -> None:
        catalogue = self._keeping.catalogue
        if new.site not in catalogue.sites:
            raise CannotChange(f"there is no site {new.site!r}: there are {', '.join(sorted(catalogue.sites))}")
        if new.issuer not in catalogue.issuers:
            raise CannotChange(f"{new.issuer!r} is no issuer of a configured provider: there are {', '.join(sorted(catalogue.issuers))}")
        if not self._keeping.usernames[new.site].allows(new.username):
            raise CannotChange(f"{new.username!r} is no user name that this site allows (username_pattern, denied_usernames)")
        if not 0 < len(new.subject) <= 255 or not new.subject.isprintable():
            raise CannotChange("the subject must be a text of 1 to 255 characters that can be shown")

    async def _require_free(self, connection: AsyncConnection, new: NewLink, identity_id: int) -> None:
        site_id = self._keeping.catalogue.sites[new.site]
        taken = (link.c.identity_id == identity_id) & (link.c.site_id == site_id) & link.c.status.in_(IN_USE)
        row = await one_row(connection, _LISTED.where(taken))
        if row is not None:
            raise CannotChange(f"it is linked to {row.username} already, by link {row.id}: revoke that first (alise links revoke {row.id})")

    async def _identity(self, connection: AsyncConnection, new: NewLink) -> int:
        issuer_id = self._keeping.catalogue.issuers[new.issuer]
        known = await one_row(
            connection, select(identity.c.id).where(identity.c.issuer_id == issuer_id, identity.c.subject == new.subject)
        )
        if known is not None:
            return int(known.id)
        nothing_yet: dict[str, Any] = {"display_name": "", "email": "", "acr": "", "assurance": "[]"}
        made = insert(identity).values(issuer_id=issuer_id, subject=new.subject, **nothing_yet).returning(identity.c.id)
        return int((await connection.execute(made)).scalar_one())

    async def _account(self, connection: AsyncConnection, new: NewLink, site_issuer: str) -> int:
        site_id = self._keeping.catalogue.sites[new.site]
        named = (account.c.site_id == site_id) & (account.c.username == new.username)
        known = await one_row(connection, select(account.c.id).where(named))
        if known is not None:
            return int(known.id)
        values = {"site_id": site_id, "issuer_id": self._keeping.catalogue.issuers[site_issuer], "username": new.username}
        values |= {"display_name": "", "email": "", "status": "active", "created_at": self._keeping.clock()}
        return int((await connection.execute(insert(account).values(**values).returning(account.c.id))).scalar_one())

    async def _tell(self, connection: AsyncConnection, action: str, operation: changes.Operation, number: int, about: NewLink) -> None:
        now, catalogue = self._keeping.clock(), self._keeping.catalogue
        detail = {"shown": about.subject, "iss": about.issuer, "sub": about.subject, "link": number}
        await append(connection, Record(now, self._by, action, about.site, about.username, detail))
        issuer_id = catalogue.issuers.get(about.issuer)
        if issuer_id is not None and about.site in catalogue.sites:
            await changes.append(connection, operation, now, [(catalogue.sites[about.site], issuer_id, about.subject)])


_LISTED = (
    select(
        link.c.id,
        site.c.name.label("site"),
        account.c.username,
        issuer.c.url.label("issuer"),
        identity.c.subject,
        link.c.status,
        link.c.origin,
        link.c.created_at,
        link.c.used_at,
    )
    .join(account, account.c.id == link.c.account_id)
    .join(site, site.c.id == link.c.site_id)
    .join(identity, identity.c.id == link.c.identity_id)
    .join(issuer, issuer.c.id == identity.c.issuer_id)
)
