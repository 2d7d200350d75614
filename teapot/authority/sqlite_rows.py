"""Reads a SQLite database that another process writes, by a connection that cannot write.

A file system may hang: one look-up at a time has a thread of its own, and nobody waits for it longer than configured.
"""

import asyncio
import sqlite3
from typing import Any
from urllib.parse import quote

from teapot.authority.alise_answers import AliseUnavailable
from teapot.authority.own_thread import in_own_thread


class SqliteRows:
    def __init__(self, path: str, timeout_s: float) -> None:
        self._path, self._timeout_s = path, timeout_s
        self._turn = asyncio.Lock()  # held until the thread is done, whoever has stopped waiting
        self._connection: sqlite3.Connection | None = None

    async def rows(self, statement: str, *values: str | int) -> list[tuple[Any, ...]]:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._turn.acquire()
                work = asyncio.create_task(in_own_thread("alise database", lambda: self._read(statement, values)))
                work.add_done_callback(self._done)
                return await asyncio.shield(work)
        except TimeoutError:
            raise AliseUnavailable(f"{self._path}: no answer within {self._timeout_s:g} s") from None

    async def close(self) -> None:
        """A thread that hangs keeps its connection."""
        if not self._turn.locked():
            self._disconnect()

    def _done(self, work: "asyncio.Task[list[tuple[Any, ...]]]") -> None:
        self._turn.release()
        if not work.cancelled():
            work.exception()  # told to who still waits

    # --- in the thread

    def _read(self, statement: str, values: tuple[str | int, ...]) -> list[tuple[Any, ...]]:
        named = {str(number): value for number, value in enumerate(values, 1)}
        try:
            if self._connection is None:
                self._connection = self._connect()
            return self._connection.execute(statement, named).fetchall()
        except (sqlite3.Error, OSError) as failed:
            self._disconnect()
            raise AliseUnavailable(f"{self._path}: {failed}") from None

    def _connect(self) -> sqlite3.Connection:
        uri = f"file:{quote(self._path)}?mode=ro"
        return sqlite3.connect(uri, uri=True, timeout=self._timeout_s, isolation_level=None, check_same_thread=False)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
