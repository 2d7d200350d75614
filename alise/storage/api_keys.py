"""API keys: made once, shown once, kept as a hash; each belongs to one site, expires, and can be exchanged or revoked.

    alise_<id: 8 letters or digits>_<secret: 256 bits, 43 characters>_<checksum: 6 hexadecimal digits>

The form lets scanners find a key that was published by mistake. Of 256 random bits no slow hash is needed. Keys of ALISE 1 are 32 letters;
they are taken over by their hash and marked as legacy.
"""

import hashlib
import secrets
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alise.storage.audit import Record, append
from alise.storage.database import one_row, reading, writing
from alise.storage.tables import api_key, site

_ID_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_DAY_S = 86400.0
MOST_OF_AN_OWNER = 20  # keys in force, of one owner at one site


class NewKey(NamedTuple):
    id: str
    key: str


class KeyEntry(NamedTuple):
    """What may be shown of a key."""

    id: str
    site: str
    owner: str
    legacy: bool
    created_at: float
    expires_at: float
    revoked_at: float | None
    used_at: float | None


class NoSuchKey(Exception):
    pass


class NoSuchSite(Exception):
    pass


class TooManyKeys(Exception):
    pass


class ApiKeys:
    def __init__(self, engine: AsyncEngine, lifetime_days: int, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._lifetime_days, self._clock = engine, lifetime_days, clock

    async def create(self, site_name: str, owner: str, by: str, days: int | None = None) -> NewKey:
        """NoSuchSite, TooManyKeys."""
        made = new_key()
        async with writing(self._engine) as connection:
            site_id = await self._site(connection, site_name)
            await self._require_few(connection, site_id, owner)
            await self._add(connection, made, site_id, owner, days or self._lifetime_days)
            await self._record(connection, "key_created", site_name, by, {"key": made.id, "owner": owner})
        return made

    async def rotate(self, key_id: str, by: str, overlap_days: int) -> NewKey:
        """A new key for the same owner; the old one counts for `overlap_days` more at most. NoSuchKey."""
        made, now = new_key(), self._clock()
        async with writing(self._engine) as connection:
            old = await self._in_force(connection, key_id)
            await self._add(connection, made, old.site_id, old.owner, self._lifetime_days)
            ends = min(old.expires_at, now + overlap_days * _DAY_S)
            await connection.execute(update(api_key).where(api_key.c.id == key_id).values(expires_at=ends))
            await self._record(connection, "key_rotated", old.name, by, {"key": key_id, "new": made.id, "owner": old.owner})
        return made

    async def revoke(self, key_id: str, by: str) -> None:
        """NoSuchKey. Running services refuse it within a second."""
        async with writing(self._engine) as connection:
            old = await self._in_force(connection, key_id)
            await connection.execute(update(api_key).where(api_key.c.id == key_id).values(revoked_at=self._clock()))
            await self._record(connection, "key_revoked", old.name, by, {"key": key_id, "owner": old.owner})

    async def entries(self, site_name: str | None = None) -> Sequence[KeyEntry]:
        columns = [api_key.c[name] if name != "site" else site.c.name for name in KeyEntry._fields]
        wanted = select(*columns).join(site, site.c.id == api_key.c.site_id).order_by(api_key.c.created_at, api_key.c.id)
        if site_name is not None:
            wanted = wanted.where(site.c.name == site_name)
        async with reading(self._engine).connect() as connection:
            return [KeyEntry(*row) for row in await connection.execute(wanted)]

    async def _site(self, connection: AsyncConnection, name: str) -> int:
        row = await one_row(connection, select(site.c.id).where(site.c.name == name, site.c.enabled))
        if row is None:
            raise NoSuchSite(name)
        return int(row.id)

    async def _require_few(self, connection: AsyncConnection, site_id: int, owner: str) -> None:
        alive = (api_key.c.expires_at > self._clock()) & api_key.c.revoked_at.is_(None)
        theirs = select(api_key.c.id).where(api_key.c.site_id == site_id, api_key.c.owner == owner, alive)
        if len((await connection.execute(theirs)).all()) >= MOST_OF_AN_OWNER:
            raise TooManyKeys(owner)

    async def _in_force(self, connection: AsyncConnection, key_id: str) -> Any:
        joined = select(api_key, site.c.name).join(site, site.c.id == api_key.c.site_id)
        alive = (api_key.c.expires_at > self._clock()) & api_key.c.revoked_at.is_(None)
        row = await one_row(connection, joined.where(api_key.c.id == key_id, alive))
        if row is None:
            raise NoSuchKey(key_id)
        return row

    async def _add(self, connection: AsyncConnection, made: NewKey, site_id: int, owner: str, days: int) -> None:
        now = self._clock()
        kept = {"id": made.id, "site_id": site_id, "hash": key_hash(made.key), "owner": owner, "legacy": False}
        await connection.execute(insert(api_key).values(**kept, created_at=now, expires_at=now + days * _DAY_S))

    async def _record(self, connection: AsyncConnection, action: str, site_name: str, by: str, detail: dict[str, Any]) -> None:
        await append(connection, Record(self._clock(), by, action, site_name, "", detail))


def new_key() -> NewKey:
    key_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(8))
    body = f"alise_{key_id}_{secrets.token_urlsafe(32)}"
    return NewKey(key_id, f"{body}_{checksum(body)}")


def checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()) & 0xFFFFFF:06x}"


def key_hash(key: str) -> bytes:
    """Of anything that a header may bring: bytes that are no UTF-8 are half a surrogate pair in its text."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()
