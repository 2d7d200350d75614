"""The hot read path: statements that were prepared once, straight to the database, without an ORM between.

SQLite is asked in the event loop itself: a look-up by index takes some ten microseconds there, less than handing it to a thread.
PostgreSQL is asked over a pool. Nothing can be written by either.
"""

import asyncio
import functools
import sqlite3
from typing import Any, Protocol
from urllib.parse import quote

from sqlalchemy.engine import URL

_CONNECTIONS = 8
_CACHE_KIB = 16384
_MAPPED_BYTES = 1 << 36


class DatabaseAway(Exception):
    """Nobody knows at present. The text is for the log."""


class Rows(Protocol):
    """Values are numbered $1, $2 … in the statement. DatabaseAway."""

    async def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]: ...

    async def close(self) -> None: ...


class SqliteRows:
    """A connection for each process. What is asked in one turn of the event loop is one transaction: SQLite's locks are taken once."""

    def __init__(self, path: str, timeout_s: float = 2.0) -> None:
        self._path, self._timeout_s = path, timeout_s
        self._connection: sqlite3.Connection | None = None

    async def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._in_transaction().execute(_as_sqlite(statement), values).fetchall()
        except sqlite3.Error as failed:
            await self.close()
            raise DatabaseAway(f"{self._path}: {failed}") from failed

    def _in_transaction(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN")
            asyncio.get_running_loop().call_soon(self._end_transaction)
        return self._connection

    def _end_transaction(self) -> None:
        """Nothing was written; nothing is lost when this fails."""
        if self._connection is not None and self._connection.in_transaction:
            self._connection.rollback()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        uri = f"file:{quote(self._path)}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, timeout=self._timeout_s, isolation_level=None, cached_statements=64)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")  # what the system has in memory anyway is not copied again
        return connection


class PostgresqlRows:
    def __init__(self, url: URL, timeout_s: float = 5.0) -> None:
        self._url, self._timeout_s = url.set(drivername="postgresql").render_as_string(hide_password=False), timeout_s
        self._pool: Any = None
        self._turn = asyncio.Lock()

    async def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        import asyncpg  # is there where a PostgreSQL database is configured

        try:
            async with asyncio.timeout(self._timeout_s):
                return [tuple(row) for row in await (await self._connected(asyncpg)).fetch(statement, *values)]
        except TimeoutError:
            raise DatabaseAway(f"no answer within {self._timeout_s:g} s") from None
        except (OSError, asyncpg.PostgresError) as failed:
            raise DatabaseAway(f"{type(failed).__name__} {failed}") from None
        except (asyncpg.InterfaceError, ValueError) as failed:  # these may quote the URL
            raise DatabaseAway(type(failed).__name__) from None

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()

    async def _connected(self, asyncpg: Any) -> Any:
        async with self._turn:
            if self._pool is None:
                settings = {"application_name": "alise", "default_transaction_read_only": "on"}
                self._pool = await asyncpg.create_pool(self._url, min_size=0, max_size=_CONNECTIONS, server_settings=settings)
        return self._pool


@functools.cache
def _as_sqlite(statement: str) -> str:
    return statement.replace("$", "?")


def open_rows(url: URL) -> Rows:
    if url.get_backend_name() == "postgresql":
        return PostgresqlRows(url)
    return SqliteRows(str(url.database))
