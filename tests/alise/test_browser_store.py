"""Sessions and logins under way, as several processes on one database see them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from alise.storage import browser_tables
from alise.storage.browser import FLOW_S, IDLE_S, LONGEST_S, BrowserStore, Flow, Identity, Notice, SessionContent
from alise.storage.database import migrate, open_engine, writing

ME, YOU = "m" * 43, "y" * 43
FLOW = Flow("link", "site", "nonce-1", "verifier-1", True)
CONTENT = SessionContent(Identity("site", "https://site.example", "s", 0.0), "alice", "a browser")
ADA = Identity("ext", "https://ext.example", "ada", 0.0)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[tuple[BrowserStore, BrowserStore, Clock]]:
    """Two, as of two processes."""
    engines = [open_engine(database_url) for _ in range(2)]
    await migrate(engines[0])
    clock = Clock()
    yield BrowserStore(engines[0], clock), BrowserStore(engines[1], clock), clock
    for engine in engines:
        await engine.dispose()


async def test_of_many_who_bring_one_state_one_gets_the_login(stores: tuple[BrowserStore, BrowserStore, Clock]) -> None:
    one, two, _ = stores
    await one.add_flow("state", ME, "ext", FLOW)
    taken = await asyncio.gather(*(store.take_flow("state", ME, "ext") for store in (one, two) * 5))
    assert [flow for flow in taken if flow] == [FLOW]


async def test_another_browser_provider_or_time_gets_nothing_and_spoils_nothing(stores: tuple[BrowserStore, BrowserStore, Clock]) -> None:
    one, two, clock = stores
    await one.add_flow("state", ME, "ext", FLOW)
    assert await two.take_flow("state", YOU, "ext") is None
    assert await two.take_flow("state", ME, "other") is None
    clock.now += FLOW_S
    assert await two.take_flow("state", ME, "ext") is None
    clock.now -= 1
    assert await two.take_flow("state", ME, "ext") == FLOW


async def test_a_browser_has_eight_logins_under_way_at_most_the_latest(stores: tuple[BrowserStore, BrowserStore, Clock]) -> None:
    one, _, clock = stores
    for number in range(20):
        clock.now += 1
        await one.add_flow(f"state{number}", ME, "ext", FLOW)
    taken = [number for number in range(20) if await one.take_flow(f"state{number}", ME, "ext")]
    assert taken == list(range(12, 20))


async def test_a_session_ends_when_it_is_not_used_and_after_hours_in_any_case(stores: tuple[BrowserStore, BrowserStore, Clock]) -> None:
    one, two, clock = stores
    await one.begin_session(ME, "site", CONTENT)
    begun = clock.now
    while clock.now < begun + LONGEST_S - IDLE_S:
        clock.now += IDLE_S - 1
        assert await two.session(ME)
    clock.now = begun + LONGEST_S
    assert await two.session(ME) is None
    await one.begin_session(YOU, "site", CONTENT)
    clock.now += IDLE_S + 1
    assert await two.session(YOU) is None


async def test_who_only_looks_at_a_session_waits_for_nobody_who_writes(stores: tuple[BrowserStore, BrowserStore, Clock]) -> None:
    one, two, _ = stores
    await one.begin_session(ME, "site", CONTENT)
    async with writing(one._engine):
        seen = await asyncio.wait_for(two.session(ME), 2)
        assert seen and len(await asyncio.wait_for(two.sessions_of(seen), 2)) == 1


async def test_the_database_holds_neither_cookie_nor_state(stores: tuple[BrowserStore, BrowserStore, Clock]) -> None:
    one, _, _ = stores
    await one.begin_session(ME, "site", CONTENT)
    await one.add_flow("the-state", ME, "ext", FLOW)
    async with one._engine.connect() as connection:
        rows = [row for table in browser_tables.metadata.tables for row in await connection.execute(text(f"SELECT * FROM {table}"))]
    assert ME not in str(rows) and "the-state" not in str(rows) and len(rows) == 2


async def test_what_a_page_keeps_brings_back_no_forgotten_proof(stores: tuple[BrowserStore, BrowserStore, Clock]) -> None:
    one, two, _ = stores
    await one.begin_session(ME, "site", msgspec.structs.replace(CONTENT, proof=ADA, notice=Notice("ended")))
    seen = await one.session(ME)
    assert seen
    await two.forget_proofs(seen)
    await one.change(seen, notice=None)
    after = await two.session(ME)
    assert after and after.content == CONTENT


async def test_of_many_who_take_one_proof_one_has_it(stores: tuple[BrowserStore, BrowserStore, Clock]) -> None:
    one, two, _ = stores
    await one.begin_session(ME, "site", msgspec.structs.replace(CONTENT, proof=ADA))
    seen = await one.session(ME)
    assert seen
    taken = await asyncio.gather(*(store.take_proof(seen) for store in (one, two) * 4))
    assert taken.count(True) == 1


async def test_a_proof_in_the_place_of_the_one_that_was_seen_is_not_taken(stores: tuple[BrowserStore, BrowserStore, Clock]) -> None:
    one, two, _ = stores
    await one.begin_session(ME, "site", msgspec.structs.replace(CONTENT, proof=ADA))
    seen = await one.session(ME)
    assert seen
    await two.change(seen, proof=msgspec.structs.replace(ADA, subject="somebody else"))
    assert not await one.take_proof(seen)


async def test_who_brings_a_state_that_is_none_waits_for_nobody_who_writes(stores: tuple[BrowserStore, BrowserStore, Clock]) -> None:
    """Anybody may do that, as often as they like."""
    one, two, _ = stores
    async with writing(one._engine):
        assert await asyncio.wait_for(two.take_flow("none", ME, "ext"), 2) is None


async def test_a_page_is_shown_though_nothing_can_be_written(tmp_path: Path) -> None:
    """A disk that is full: that somebody was seen is not kept then."""
    engine, clock = open_engine(f"sqlite+aiosqlite:///{tmp_path}/alise.db"), Clock()
    await migrate(engine)
    store = BrowserStore(engine, clock)
    await store.begin_session(ME, "site", CONTENT)
    async with engine.begin() as connection:
        full = "CREATE TRIGGER full BEFORE UPDATE ON browser_session BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
        await connection.execute(text(full))
    clock.now += 60
    assert await store.session(ME)
    clock.now += IDLE_S
    assert await store.session(ME) is None
    await engine.dispose()
