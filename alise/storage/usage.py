"""When links and keys were used last: noted in memory, written together from time to time, never while somebody waits for an answer."""

import asyncio
import logging
import time
from typing import Any

from sqlalchemy import bindparam, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from alise.storage.tables import api_key, link

log = logging.getLogger(__name__)

PAUSE_S = 30.0
_MOST = 20_000  # noted between two writings; what comes beyond is noted at its next use


class Usage:
    def __init__(self, engine: AsyncEngine, pause_s: float = PAUSE_S) -> None:
        self._engine, self._pause_s = engine, pause_s
        self._links: set[int] = set()
        self._keys: set[str] = set()

    def note(self, link_id: int) -> None:
        if len(self._links) < _MOST:
            self._links.add(link_id)

    def note_key(self, key_id: str) -> None:
        self._keys.add(key_id)

    async def write_from_time_to_time(self) -> None:
        while True:
            await asyncio.sleep(self._pause_s)
            await self.write()

    async def write(self) -> None:
        """What cannot be written now is forgotten: it is about days, not about seconds."""
        links, keys, self._links, self._keys = self._links, self._keys, set(), set()
        try:
            async with self._engine.begin() as connection:
                for table, used in ((link, links), (api_key, keys)):
                    if used:
                        rows: list[dict[str, Any]] = [{"which": one, "at": time.time()} for one in sorted(used)]
                        await connection.execute(
                            update(table).where(table.c.id == bindparam("which")).values(used_at=bindparam("at")), rows
                        )
        except (SQLAlchemyError, OSError) as failed:
            log.warning("when links were used last is not written: %s", type(failed).__name__)
