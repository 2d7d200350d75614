"""The tables that the migrations make are those that the code describes, in both engines."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from alise.storage import browser_tables, database, tables
from alise.storage.database import migrate, open_engine


@pytest.fixture
async def migrated(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(database_url)
    await migrate(engine)
    yield engine
    await engine.dispose()


async def test_migrated_tables_are_those_of_the_code(migrated: AsyncEngine) -> None:
    def differences(connection: Connection) -> object:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return compare_metadata(context, _described())

    async with migrated.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_unique_rules_hold_only_for_what_is_in_use(migrated: AsyncEngine) -> None:
    """What Alembic does not compare: the condition of an index."""

    def condition(connection: Connection) -> str:
        found = {each["name"]: each for each in inspect(connection).get_indexes("link")}["link_of_identity"]
        assert found["unique"] and found["column_names"] == ["site_id", "identity_id"]
        return str(found["dialect_options"][f"{connection.dialect.name}_where"])

    async with migrated.connect() as connection:
        said = await connection.run_sync(condition)
    assert "active" in said and "suspended" in said and "revoked" not in said


async def test_migrating_again_changes_nothing(migrated: AsyncEngine) -> None:
    await migrate(migrated)
    async with migrated.connect() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM head")).scalar_one() == 1


def _described() -> MetaData:
    both = MetaData()
    for metadata in (tables.metadata, browser_tables.metadata):
        for table in metadata.sorted_tables:
            table.to_metadata(both)
    return both


async def test_a_statement_that_fails_tells_none_of_its_values(database_url: str) -> None:
    """Faults are logged, and a verifier or a session is a value too."""
    engine = database.open_engine(database_url)
    try:
        with pytest.raises(SQLAlchemyError) as failed:
            async with engine.begin() as connection:
                await connection.execute(text("INSERT INTO nowhere VALUES (:one)"), {"one": "a-verifier"})
        assert "a-verifier" not in str(failed.value)
    finally:
        await engine.dispose()


async def test_nobody_waits_for_ever_for_who_writes(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_S", 1.0)
    engine = database.open_engine(database_url)
    try:
        await database.migrate(engine)
        async with database.writing(engine):
            began = time.monotonic()
            with pytest.raises(SQLAlchemyError):
                async with asyncio.timeout(15), database.writing(engine):
                    pass
            assert time.monotonic() - began < 5
    finally:
        await engine.dispose()
