"""The database: how it is opened, brought up to date, and written by one at a time.

SQLite in WAL mode by default, PostgreSQL for more. Every transaction that writes begins with `writing`: it takes the row of `head`, so that
audit records and changes are numbered in the order in which they are committed.
"""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Executable, Table, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from alise.storage.tables import head

_MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY_S = 10.0
_POOL = 8


def open_engine(url: str) -> AsyncEngine:
    """Connects to nothing yet. Nobody waits longer than _BUSY_S for a lock, and no fault tells the values of a statement."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        patience = {"server_settings": {"lock_timeout": f"{_BUSY_S:.0f}s"}}
        asynchronous = parsed.set(drivername="postgresql+asyncpg")
        return create_async_engine(asynchronous, pool_size=_POOL, pool_pre_ping=True, connect_args=patience, hide_parameters=True)
    engine = create_async_engine(parsed, connect_args={"timeout": _BUSY_S}, pool_size=_POOL, hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def reading(engine: AsyncEngine) -> AsyncEngine:
    """The same, for statements that stand by themselves and hold no lock."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction; others that write wait until it ends."""
    async with engine.begin() as connection:
        await connection.execute(select(head.c.id).with_for_update())
        yield connection


async def one_row(connection: AsyncConnection, statement: Executable) -> Any:
    """None: there is none."""
    return (await connection.execute(statement)).one_or_none()


async def insert_rows(connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """All rows have the columns of the first. By the driver alone: what SQLAlchemy does for each row takes longer than the database."""
    if not rows:
        return
    columns = list(rows[0])
    is_sqlite = connection.dialect.name == "sqlite"
    marks = ["?" if is_sqlite else f"${number}" for number in range(1, len(columns) + 1)]
    statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join(marks)})"
    await connection.exec_driver_sql(statement, [tuple(row[name] for name in columns) for row in rows])


async def migrate(engine: AsyncEngine) -> None:
    """Brings the tables up to this version; several processes may do so at once."""
    _make_private(engine)
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4711074)")
        await connection.run_sync(_upgrade)


def sqlite_path(engine: AsyncEngine) -> Path | None:
    database = engine.url.database
    return Path(database) if engine.dialect.name == "sqlite" and database else None


def _make_private(engine: AsyncEngine) -> None:
    """It holds hashes of sessions, names and addresses; SQLite gives the files beside it the same mode and owner. A command that root
    runs makes it for the account whose folder it is in."""
    path = sqlite_path(engine)
    if path is None:
        return
    try:
        opened = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))  # says why, where SQLite says only that it cannot
        return
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.fchown(opened, folder.st_uid, folder.st_gid)
    os.close(opened)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    """At once with the right to write: a transaction that reads first and then writes could find that it comes too late."""
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
