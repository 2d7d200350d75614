"""The audit trail: whatever is done to it is found."""

import pytest

from alise.storage.audit import verify
from alise.storage.browser import Identity
from tests.alise.conftest import SITE_ISSUER, Desk

TAMPERED = [
    "UPDATE audit SET actor = 'somebody else' WHERE seq = 2",
    "UPDATE audit SET at = at + 1 WHERE seq = 2",
    "UPDATE audit SET action = 'login' WHERE seq = 2",
    "UPDATE audit SET site = 'lab' WHERE seq = 2",
    "UPDATE audit SET account = 'bob' WHERE seq = 2",
    "UPDATE audit SET detail = '{}' WHERE seq = 2",
    "UPDATE audit SET request_id = 'x' WHERE seq = 2",
    "UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 1) WHERE seq = 2",
    "DELETE FROM audit WHERE seq = 2",
    "UPDATE audit SET seq = 99 WHERE seq = 2",
]


async def test_every_change_has_its_record_and_the_trail_is_whole(desk: Desk) -> None:
    for what in ("suspend", "resume", "revoke"):
        await desk.administration.change(1, what)
    await desk.keys.revoke(desk.key.id, "somebody")
    found = await verify(desk.alise.running.engine)
    assert found.broken_at is None and found.records == 6
    async with desk.alise.running.engine.connect() as connection:
        rows = (await connection.exec_driver_sql("SELECT action, actor, account FROM audit ORDER BY seq")).all()
    assert [row[0] for row in rows] == ["linked", "key_created", "suspended", "resumed", "unlinked", "key_revoked"]
    assert rows[0] == ("linked", "a test", "alice") and rows[5][1] == "somebody"


@pytest.mark.parametrize("statement", TAMPERED)
async def test_a_record_that_was_altered_or_taken_out_is_found(desk: Desk, statement: str) -> None:
    await desk.administration.change(1, "suspend")
    await desk.alise.run_sql(statement)
    assert (await verify(desk.alise.running.engine)).broken_at == 2


async def test_a_trail_that_was_cut_short_is_found(desk: Desk) -> None:
    await desk.alise.run_sql("DELETE FROM audit WHERE seq = 2")
    assert (await verify(desk.alise.running.engine)).broken_at == 2


async def test_a_long_trail_is_read_in_parts(desk: Desk) -> None:
    person = Identity("hpc", SITE_ISSUER, "uid-of-bob", 0.0, "Bob")
    for _ in range(1100):
        await desk.alise.service.accounts.log_in("hpc", person, "bob")
    found = await verify(desk.alise.running.engine)
    assert (found.records, found.broken_at) == (1102, None)
    await desk.alise.run_sql("UPDATE audit SET account = 'x' WHERE seq = 1050")
    assert (await verify(desk.alise.running.engine)).broken_at == 1050


@pytest.mark.parametrize("seq", [0, 3])
async def test_a_record_that_was_put_in_before_or_after_the_others_is_found(desk: Desk, seq: int) -> None:
    columns = "at, actor, action, site, account, detail, request_id, hash"
    await desk.alise.run_sql(f"INSERT INTO audit (seq, {columns}) SELECT {seq}, {columns} FROM audit WHERE seq = 1")
    assert (await verify(desk.alise.running.engine)).broken_at == seq


async def test_a_head_that_was_kept_is_found_in_what_has_been_added_to_since_and_not_in_what_was_written_anew(desk: Desk) -> None:
    engine = desk.alise.running.engine
    kept = (await verify(engine)).head
    await desk.administration.change(1, "suspend")
    assert (await verify(engine, kept)).broken_at is None
    await desk.alise.run_sql("DELETE FROM audit WHERE seq > 1")
    await desk.alise.run_sql("UPDATE head SET audit_seq = 1, audit_hash = (SELECT hash FROM audit WHERE seq = 1)")
    assert (await verify(engine)).broken_at is None, "by itself it is whole"
    found = await verify(engine, kept)
    assert found.broken_at == 1 and "cut short or written anew" in found.reason
