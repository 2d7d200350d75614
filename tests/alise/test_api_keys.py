"""API keys: made once, kept as a hash, ended by time or by hand."""

import re
import time

import pytest
from aiohttp.test_utils import make_mocked_request
from sqlalchemy import insert

from alise.rest.api import API
from alise.rest.key_desk import KeyDesk
from alise.storage.api_keys import ApiKeys, NoSuchKey, NoSuchSite, TooManyKeys, checksum, key_hash
from alise.storage.tables import api_key
from tests.alise.conftest import ADA, ISSUER, Desk

FORM = re.compile(r"alise_([a-z2-9]{8})_([A-Za-z0-9_-]{43})_([0-9a-f]{6})")


async def counts(desk: Desk, key: str) -> bool:
    return (await desk.client.post("/api/v2/sites/hpc/resolve", {"iss": ISSUER, "sub": ADA}, key)).status == 200


async def refused_soon(desk: Desk, key: str) -> None:
    began = time.monotonic()
    while await counts(desk, key):
        assert time.monotonic() - began < 1.5


async def test_a_key_has_a_form_that_scanners_find_and_256_random_bits(desk: Desk) -> None:
    found = FORM.fullmatch(desk.key.key)
    assert found and found[1] == desk.key.id
    body, _, sum_ = desk.key.key.rpartition("_")
    assert checksum(body) == sum_
    other = await desk.keys.create("hpc", "teapot", "a test")
    assert len({desk.key.key[15:-7], other.key[15:-7]}) == 2


async def test_the_database_has_only_the_hash(desk: Desk) -> None:
    async with desk.alise.running.engine.connect() as connection:
        rows = [row for table in ("api_key", "audit") for row in await connection.exec_driver_sql(f"SELECT * FROM {table}")]
    assert rows and desk.key.key[15:58] not in str(rows)


async def test_a_revoked_key_is_refused_within_a_second_or_so(desk: Desk) -> None:
    assert await counts(desk, desk.key.key)
    await desk.keys.revoke(desk.key.id, "a test")
    await refused_soon(desk, desk.key.key)
    with pytest.raises(NoSuchKey):
        await desk.keys.revoke(desk.key.id, "a test")


async def test_an_expired_key_counts_no_more(desk: Desk) -> None:
    long_ago = ApiKeys(desk.alise.running.engine, 30, clock=lambda: time.time() - 31 * 86400)
    assert not await counts(desk, (await long_ago.create("hpc", "old", "a test")).key)


async def test_after_a_rotation_both_count_until_the_overlap_is_over(desk: Desk) -> None:
    new = await desk.keys.rotate(desk.key.id, "a test", overlap_days=1)
    assert await counts(desk, new.key) and await counts(desk, desk.key.key)
    ends = {one.id: one.expires_at for one in await desk.keys.entries()}
    assert ends[desk.key.id] == pytest.approx(time.time() + 86400, abs=60) and ends[new.id] > ends[desk.key.id]
    at_once = await desk.keys.rotate(new.id, "a test", overlap_days=0)
    assert await counts(desk, at_once.key)
    await refused_soon(desk, new.key)


async def test_a_key_of_alise_1_counts_by_its_hash(desk: Desk) -> None:
    old, now = "qwertyuiopasdfghjklzxcvbnmqwerty", time.time()
    shared = {"site_id": 1, "owner": "old", "legacy": True, "created_at": now, "expires_at": now + 1000}
    async with desk.alise.running.engine.begin() as connection:
        await connection.execute(insert(api_key).values(id="legacy1", hash=key_hash(old), **shared))
    assert await counts(desk, old)


async def test_an_owner_has_a_bounded_number_of_keys_and_a_site_must_be_there(desk: Desk) -> None:
    with pytest.raises(TooManyKeys):
        for _ in range(30):
            await desk.keys.create("hpc", "greedy", "a test")
    assert len([one for one in await desk.keys.entries("hpc") if one.owner == "greedy"]) == 20
    with pytest.raises(NoSuchSite):
        await desk.keys.create("iam", "a provider that is no site", "a test")


async def test_when_a_key_and_a_link_were_used_last_is_written(desk: Desk) -> None:
    assert await counts(desk, desk.key.key)
    await desk.alise.running.usage.write()
    assert [one.used_at for one in await desk.keys.entries()] == [pytest.approx(time.time(), abs=60)]
    assert [one.used_at for one in await desk.administration.listed("hpc", None, revoked=False)] == [pytest.approx(time.time(), abs=60)]


async def test_a_revoked_key_is_not_remembered_for_longer_because_the_clock_was_set_back(desk: Desk) -> None:
    now = time.time()
    times = iter((now, now - 3600))
    api = desk.alise.running.app[API].keys
    remembering = KeyDesk(api._lookup, api._usage, api._addresses, api._failures, clock=lambda: next(times))
    request = make_mocked_request("GET", "/")
    assert await remembering.find(request, desk.key.key)
    await desk.keys.revoke(desk.key.id, "a test")
    assert await remembering.find(request, desk.key.key) is None
