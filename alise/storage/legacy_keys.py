"""API keys of ALISE 1: taken over by their hashes and marked, so that services go on until they have new ones."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from alise.storage.accounts import Keeping
from alise.storage.api_keys import key_hash
from alise.storage.database import insert_rows
from alise.storage.tables import api_key
from alise.storage.upstream import Refused, TakenKey

_DAY_S = 86400.0


async def take_keys(
    connection: AsyncConnection, keeping: Keeping, site: str, keys: Sequence[TakenKey], lifetime_days: int
) -> tuple[int, int, list[Refused]]:
    """How many are new, how many were there, and which are another site's. In a transaction of database.writing."""
    now, site_id = keeping.clock(), keeping.catalogue.sites[site]
    owners = {key_hash(each.key): each.owner for each in keys}
    there = {row.hash: row.site_id for row in await connection.execute(select(api_key.c.hash, api_key.c.site_id))}
    elsewhere = [digest for digest in owners if there.get(digest, site_id) != site_id]
    new = [digest for digest in owners if digest not in there]
    shared = {"site_id": site_id, "legacy": True, "created_at": now, "expires_at": now + lifetime_days * _DAY_S}
    rows = [{"id": f"legacy-{digest.hex()[:8]}", "hash": digest, "owner": owners[digest], **shared} for digest in new]
    await insert_rows(connection, api_key, rows)
    refused = [Refused(f"apikeys: {owners[digest]}", "another site has the same key") for digest in elsewhere]
    return len(new), len(owners) - len(new) - len(elsewhere), refused
