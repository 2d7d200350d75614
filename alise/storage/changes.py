"""What has changed for whom, numbered in the order of commits: what services follow to forget a link as soon as it is gone."""

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alise.storage.database import insert_rows
from alise.storage.tables import change, head

Operation = Literal["linked", "unlinked", "suspended", "resumed"]


async def append(connection: AsyncConnection, operation: Operation, at: float, changed: Sequence[tuple[int, int, str]]) -> None:
    """changed: (site id, issuer id, subject) each. In a transaction of database.writing."""
    if not changed:
        return
    last = (await connection.execute(select(head.c.change_seq))).scalar_one()
    rows: list[dict[str, Any]] = [
        {"seq": last + number, "site_id": site, "issuer_id": issuer, "subject": subject, "operation": operation, "at": at}
        for number, (site, issuer, subject) in enumerate(changed, 1)
    ]
    await insert_rows(connection, change, rows)
    await connection.execute(update(head).values(change_seq=last + len(rows)))
