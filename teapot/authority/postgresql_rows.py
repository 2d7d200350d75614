"""Reads a PostgreSQL database, in transactions that cannot write."""

import asyncio
from typing import Any

import asyncpg

from teapot.authority.alise_answers import AliseUnavailable

_CONNECTIONS = 4


class PostgresqlRows:
    def __init__(self, url: str, timeout_s: float) -> None:
        self._url, self._timeout_s = url, timeout_s
        self._pool: Any = None
        self._turn = asyncio.Lock()

    async def rows(self, statement: str, *values: str | int) -> list[tuple[Any, ...]]:
        try:
            async with asyncio.timeout(self._timeout_s):
                return [tuple(row) for row in await (await self._connected()).fetch(statement, *values)]
        except TimeoutError:
            raise AliseUnavailable(f"the database: no answer within {self._timeout_s:g} s") from None
        except (OSError, asyncpg.PostgresError) as failed:
            raise AliseUnavailable(f"the database: {type(failed).__name__} {failed}") from None
        except (asyncpg.InterfaceError, ValueError) as failed:  # these may quote the URL
            raise AliseUnavailable(f"the database: {type(failed).__name__}") from None

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()

    async def _connected(self) -> Any:
        async with self._turn:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=_CONNECTIONS,
                    timeout=self._timeout_s,
                    command_timeout=self._timeout_s,
                    server_settings={"application_name": "teapot", "default_transaction_read_only": "on"},
                )
        return self._pool
