"""The audit trail: records that are chained by their hashes, so that one that is altered, taken out or put in is found.

A record's hash is the SHA-256 of the hash before and of its content. `head` holds the last number and hash: a trail that was cut short is
found as long as that row is as it was. Whoever keeps a printed head elsewhere finds a forged one, too (`verify --kept`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alise.storage.database import insert_rows, reading
from alise.storage.tables import audit, head

_BATCH = 1000


class Record(NamedTuple):
    """`account`: the user name whose activity it belongs to; `actor`: who did it, as in "browser:SUBJECT at ISSUER" or "command line"."""

    at: float
    actor: str
    action: str
    site: str
    account: str
    detail: Mapping[str, Any]
    request_id: str = ""


class Verdict(NamedTuple):
    records: int
    head: str  # the last hash, to be kept elsewhere
    broken_at: int | None  # the first record that is not as it was written; None: all are
    reason: str = ""


async def append(connection: AsyncConnection, record: Record) -> None:
    await append_all(connection, [record])


async def append_all(connection: AsyncConnection, records: Sequence[Record]) -> None:
    """In a transaction of database.writing."""
    last = (await connection.execute(select(head.c.audit_seq, head.c.audit_hash))).one()
    seq, digest, rows = last.audit_seq, last.audit_hash, []
    for record in records:
        seq += 1
        values = {**record._asdict(), "detail": msgspec.json.encode(record.detail, order="sorted").decode()}
        digest = _hash(digest, seq, values)
        rows.append({"seq": seq, "hash": digest, **values})
    await insert_rows(connection, audit, rows)
    await connection.execute(update(head).values(audit_seq=seq, audit_hash=digest))


async def verify(engine: AsyncEngine, kept: str = "") -> Verdict:
    """Reads the whole trail, a part at a time; what is written meanwhile is left out. `kept`: a head of before, which must be in it."""
    async with reading(engine).connect() as connection:
        first, last = (await connection.execute(select(func.min(audit.c.seq), func.max(audit.c.seq)))).one()  # before the head is read
        end = (await connection.execute(select(head.c.audit_seq, head.c.audit_hash))).one()
        seen, before, found = 0, b"", not kept
        while seen < end.audit_seq:
            wanted = select(audit).where(audit.c.seq > seen, audit.c.seq <= end.audit_seq).order_by(audit.c.seq).limit(_BATCH)
            rows = [dict(row) for row in (await connection.execute(wanted)).mappings()]
            for row in rows:
                digest = _hash(before, row["seq"], row)
                if row["seq"] != seen + 1:
                    return Verdict(seen, before.hex(), seen + 1, "is missing")
                if digest != row["hash"]:
                    return Verdict(seen, before.hex(), row["seq"], "has been altered")
                seen, before, found = row["seq"], digest, found or digest.hex() == kept
            if not rows:
                return Verdict(seen, before.hex(), seen + 1, "is missing")
    if before != end.audit_hash:
        return Verdict(seen, before.hex(), seen, "is not the one that was written last")
    if last is not None and not 0 < first <= last <= end.audit_seq:
        return Verdict(seen, before.hex(), first if first < 1 else last, "was put in")
    if not found:
        return Verdict(seen, before.hex(), seen, "is the last, and the head that was kept is of none: it was cut short or written anew")
    return Verdict(seen, before.hex(), None)


def _hash(before: bytes, seq: int, values: Mapping[str, Any]) -> bytes:
    content = [seq, *(values[name] for name in Record._fields)]
    return hashlib.sha256(before + msgspec.json.encode(content)).digest()
