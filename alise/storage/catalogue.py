"""Which sites and issuers there are: what the configuration says, kept as rows.

So the links of a provider that was taken out of the configuration are kept, but do not count until it is back.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Column, Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alise.storage.database import writing
from alise.storage.tables import issuer, site


class Catalogue(NamedTuple):
    """Names and URLs to row numbers; only what is configured."""

    sites: Mapping[str, int]
    issuers: Mapping[str, int]


async def settle(engine: AsyncEngine, sites: Iterable[str], issuers: Iterable[str]) -> Catalogue:
    """Makes the rows say what the configuration says."""
    async with writing(engine) as connection:
        return Catalogue(
            await _settle(connection, site, site.c.name, sorted(set(sites))),
            await _settle(connection, issuer, issuer.c.url, sorted(set(issuers))),
        )


async def _settle(connection: AsyncConnection, table: Table, name: Column[str], wanted: list[str]) -> Mapping[str, int]:
    there = {row[1] for row in await connection.execute(select(table.c.id, name))}
    for new in wanted:
        if new not in there:
            await connection.execute(insert(table).values({name.key: new, "enabled": True}))
    await connection.execute(update(table).values(enabled=name.in_(wanted)))
    return {row[1]: row[0] for row in await connection.execute(select(table.c.id, name).where(table.c.enabled))}
