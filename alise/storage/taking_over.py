"""Writes what was found in a file of ALISE 1: accounts, links and keys of one site, in one transaction, each link with its audit record.

Whatever ALISE knows already wins: an account or a link that is there stays as it is, and one that was taken away here is not brought back.
Done twice, it does the same as once.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from alise.storage import audit, changes
from alise.storage.accounts import Keeping
from alise.storage.database import insert_rows, writing
from alise.storage.legacy_keys import take_keys
from alise.storage.tables import account, identity, link
from alise.storage.upstream import Found, Person, Refused, TakenAccount

T = TypeVar("T")
_AT_ONCE = 5_000  # accounts; a statement has 32 766 values at most


class Report(NamedTuple):
    site: str
    accounts: int
    links: int
    keys: int
    present: int  # links and keys that were there already
    refused: list[Refused]


class TakingOver:
    """issuers: the configured URL by the name of the provider."""

    def __init__(self, keeping: Keeping, issuers: Mapping[str, str], lifetime_days: int, by: str) -> None:
        self._keeping, self._lifetime_days, self._by = keeping, lifetime_days, by
        self._issuer_ids = {name: keeping.catalogue.issuers[url] for name, url in issuers.items()}
        self._urls = issuers

    async def site(self, name: str, found: Found, *, dry_run: bool) -> Report:
        """Of a dry run nothing stays."""
        report = Report(name, 0, 0, 0, 0, list(found.refused))
        try:
            async with writing(self._keeping.engine) as connection:
                for part in _parts(found.accounts, _AT_ONCE):
                    report = await self._accounts(connection, name, part, report)
                new, present, elsewhere = await take_keys(connection, self._keeping, name, found.keys, self._lifetime_days)
                report = report._replace(keys=new, present=report.present + present, refused=report.refused + elsewhere)
                counts = {"accounts": report.accounts, "links": report.links, "keys": report.keys, "refused": len(report.refused)}
                await audit.append(connection, audit.Record(self._keeping.clock(), self._by, "imported", name, "", counts))
                if dry_run:
                    raise _Undone
        except _Undone:
            pass
        return report

    async def _accounts(self, connection: AsyncConnection, site: str, taken: Sequence[TakenAccount], report: Report) -> Report:
        site_id = self._keeping.catalogue.sites[site]
        ids, refused, made = await self._account_ids(connection, site_id, site, taken)
        wanted = [(each, one) for each in taken if each.person.subject in ids for one in each.identities]
        left_out = [one for each in taken if each.person.subject not in ids for one in each.identities]
        refused += [Refused(_named(one), "its account is refused") for one in left_out]
        identities = await self._identity_ids(connection, [one for _, one in wanted])
        states = await self._states(connection, site_id, list(identities.values()))
        new, present = [], 0
        for each, one in wanted:
            owner, identity_id = ids[each.person.subject], identities[one.provider, one.subject]
            state = states.get(identity_id)
            if state is None:
                new.append((each, one, owner, identity_id))
            elif state == (owner, "revoked"):
                refused.append(Refused(_named(one), "the link was taken away here since"))
            elif state[0] == owner:
                present += 1
            else:
                refused.append(Refused(_named(one), "the identity is linked to another account here"))
        await self._link(connection, site, new)
        return report._replace(
            accounts=report.accounts + made,
            links=report.links + len(new),
            present=report.present + present,
            refused=report.refused + refused,
        )

    async def _account_ids(
        self, connection: AsyncConnection, site_id: int, site: str, taken: Sequence[TakenAccount]
    ) -> tuple[dict[str, int], list[Refused], int]:
        """By subject, those that are there already included; which cannot be; how many are new."""
        names, subjects = [each.username for each in taken], [each.person.subject for each in taken]
        by_name = select(account).where(account.c.site_id == site_id, account.c.username.in_(names))
        by_person = select(account).where(account.c.site_id == site_id, account.c.subject.in_(subjects))
        holders = {row.username: row for row in await connection.execute(by_name)}
        known = {row.subject: row for row in await connection.execute(by_person.where(account.c.issuer_id == self._issuer_ids[site]))}
        ids: dict[str, int] = {}
        refused, new = [], []
        for each in taken:
            there, holder = known.get(each.person.subject), holders.get(each.username)
            if there is not None and there.username == each.username:
                ids[each.person.subject] = there.id
            elif there is not None or holder is not None:
                refused.append(Refused(_named(each.person), f"here the account or the user name {each.username!r} is another one already"))
            else:
                new.append(each)
        now, issuer_id = self._keeping.clock(), self._issuer_ids[site]
        rows = [_account_row(each, site_id, issuer_id, now) for each in new]
        for each, number in zip(new, await _inserted(connection, account, rows), strict=True):
            ids[each.person.subject] = number
        return ids, refused, len(new)

    async def _identity_ids(self, connection: AsyncConnection, people: Sequence[Person]) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        for part in _parts(people, _AT_ONCE):
            names = {self._issuer_ids[one.provider]: one.provider for one in part}
            there = select(identity.c.id, identity.c.issuer_id, identity.c.subject).where(
                identity.c.issuer_id.in_(names), identity.c.subject.in_([one.subject for one in part])
            )
            found |= {(names[row.issuer_id], row.subject): row.id for row in await connection.execute(there)}
            new = [one for one in part if (one.provider, one.subject) not in found]
            numbers = await _inserted(connection, identity, [_identity_row(one, self._issuer_ids[one.provider]) for one in new])
            found |= {(one.provider, one.subject): number for one, number in zip(new, numbers, strict=True)}
        return found

    async def _states(self, connection: AsyncConnection, site_id: int, identities: Sequence[int]) -> dict[int, tuple[int, str]]:
        """Of each identity the account that it is or was linked to, and the state; one that counts wins."""
        states: dict[int, tuple[int, str]] = {}
        for part in _parts(identities, _AT_ONCE):
            wanted = select(link.c.identity_id, link.c.account_id, link.c.status).where(link.c.site_id == site_id)
            for row in await connection.execute(wanted.where(link.c.identity_id.in_(part)).order_by(link.c.id)):
                if states.get(row.identity_id, (0, "revoked"))[1] == "revoked":
                    states[row.identity_id] = (row.account_id, row.status)
        return states

    async def _link(self, connection: AsyncConnection, site: str, new: Sequence[tuple[TakenAccount, Person, int, int]]) -> None:
        if not new:
            return
        now, site_id = self._keeping.clock(), self._keeping.catalogue.sites[site]
        shared = {"site_id": site_id, "status": "active", "origin": "import", "created_at": now}
        await insert_rows(connection, link, [{**shared, "account_id": owner, "identity_id": number} for _, _, owner, number in new])
        records = [audit.Record(now, self._by, "linked", site, each.username, self._about(one)) for each, one, _, _ in new]
        await audit.append_all(connection, records)
        changed = [(site_id, self._issuer_ids[one.provider], one.subject) for _, one, _, _ in new]
        await changes.append(connection, "linked", now, changed)

    def _about(self, one: Person) -> dict[str, str]:
        return {"shown": one.display_name or one.subject, "iss": self._urls[one.provider], "sub": one.subject}


class _Undone(Exception):
    """Ends the transaction of a dry run."""


def _account_row(taken: TakenAccount, site_id: int, issuer_id: int, now: float) -> dict[str, Any]:
    return {
        "site_id": site_id,
        "issuer_id": issuer_id,
        "subject": taken.person.subject,
        "username": taken.username,
        "display_name": taken.person.display_name,
        "email": taken.person.email,
        "status": "active",
        "created_at": now,
        "last_login_at": taken.person.seen_at,
    }


def _identity_row(person: Person, issuer_id: int) -> dict[str, Any]:
    return {
        "issuer_id": issuer_id,
        "subject": person.subject,
        "display_name": person.display_name,
        "email": person.email,
        "acr": "",
        "assurance": "[]",
        "last_login_at": person.seen_at,
    }


async def _inserted(connection: AsyncConnection, table: Any, rows: list[dict[str, Any]]) -> list[int]:
    """Their ids, in the order of the rows. We give the ids, as nobody else writes now: asking for each row's takes ten times as long."""
    if not rows:
        return []
    first = ((await connection.execute(select(func.max(table.c.id)))).scalar() or 0) + 1
    await insert_rows(connection, table, [{"id": number, **row} for number, row in enumerate(rows, first)])
    last = first + len(rows) - 1
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.setval(func.pg_get_serial_sequence(table.name, "id"), last)))
    return list(range(first, last + 1))


def _parts(values: Sequence[T], size: int) -> Iterator[list[T]]:
    rest = iter(values)
    while part := list(islice(rest, size)):
        yield part


def _named(person: Person) -> str:
    return f"{person.provider}:{person.subject}"
