"""The tables that the migrations make are those that the code describes, in both engines."""

from collections.abc import AsyncIterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect
from sqlalchemy.ext.asyncio import AsyncEngine

from alise.storage import browser_tables, tables
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
