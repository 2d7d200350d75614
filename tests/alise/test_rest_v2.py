"""API v2: resolve and the change feed, as Teapot uses them."""

import asyncio
import time
from typing import Any

import pytest

from alise.storage.administration import NewLink
from alise.storage.changes import append
from alise.storage.database import writing
from alise.storage.lookup import Lookup
from alise.storage.rows import DatabaseAway
from tests.alise.conftest import ADA, ISSUER, SITE_ISSUER, Desk
from tests.alise.running import Answer


async def resolve(desk: Desk, asked: Any, site: str = "hpc", key: str | None = None) -> Answer:
    return await desk.client.post(f"/api/v2/sites/{site}/resolve", asked, desk.key.key if key is None else key)


async def changes(desk: Desk, query: str, site: str = "hpc") -> Answer:
    return await desk.client.get(f"/api/v2/sites/{site}/changes{query}", desk.key.key)


async def test_one_identity_is_its_username(desk: Desk) -> None:
    answer = await resolve(desk, {"iss": ISSUER, "sub": ADA})
    assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
    assert answer.json["username"] == "alice" and answer.json["assurance"] == [] and answer.json["linked_at"].endswith("Z")


async def test_who_is_not_linked_is_404_with_the_page_where_to_link(desk: Desk) -> None:
    for asked in ({"iss": ISSUER, "sub": "nobody"}, {"iss": "https://other.example", "sub": ADA}, {"iss": ISSUER, "sub": "nul\0"}):
        answer = await resolve(desk, asked)
        assert (answer.status, answer.json["code"], answer.json["link_url"]) == (404, "not_linked", f"{desk.alise.url}/hpc")
        assert answer.headers["Content-Type"].startswith("application/problem+json")


async def test_what_is_suspended_is_403_and_says_which(desk: Desk) -> None:
    await desk.administration.change(1, "suspend")
    assert ((answer := await resolve(desk, {"iss": ISSUER, "sub": ADA})).status, answer.json["code"]) == (403, "link_suspended")
    await desk.administration.change(1, "resume")
    await desk.alise.run_sql("UPDATE account SET status = 'suspended'")
    assert ((answer := await resolve(desk, {"iss": ISSUER, "sub": ADA})).status, answer.json["code"]) == (403, "account_suspended")


async def test_a_thousand_at_once_are_answered_in_their_order(desk: Desk) -> None:
    asked = [{"iss": ISSUER, "sub": ADA if number % 7 == 0 else f"nobody-{number}"} for number in range(1000)]
    answer = await resolve(desk, {"identities": asked})
    assert answer.status == 200 and len(answer.json) == 1000
    for number, entry in enumerate(answer.json):
        assert entry.get("username") == ("alice" if number % 7 == 0 else None) and ("code" in entry) == (number % 7 != 0)
    assert (await resolve(desk, {"identities": [*asked, asked[0]]})).status == 413


NO_QUESTIONS: list[Any] = [None, [], "text", {}, {"iss": ISSUER}, {"iss": 7, "sub": "x"}, {"iss": ISSUER, "sub": None}]


@pytest.mark.parametrize("asked", [*NO_QUESTIONS, {"identities": {}}, {"identities": [ADA]}])
async def test_what_is_no_question_is_400_and_says_what_would_be(desk: Desk, asked: Any) -> None:
    answer = await resolve(desk, asked)
    assert (answer.status, answer.json["code"]) == (400, "bad_request") and '"iss"' in answer.json["detail"]


async def test_what_is_too_large_or_no_json_is_refused(desk: Desk) -> None:
    path = "/api/v2/sites/hpc/resolve"
    large = await desk.client.get(path, desk.key.key, "POST", data=b"x" * (2 << 20))
    assert (large.status, large.json["code"]) == (413, "bad_request")
    for body in (b"", b"{", b"[" * 100_000, b'{"iss": "\xff", "sub": "x"}', b'{"iss": "\\ud800", "sub": "x"}'):
        assert (await desk.client.get(path, desk.key.key, "POST", data=body)).status in (400, 404), body[:20]


async def test_without_a_key_that_counts_nothing_is_told(desk: Desk) -> None:
    for key in ("", "nonsense", desk.key.key[:-1], desk.key.key.upper()):
        answer = await resolve(desk, {"iss": ISSUER, "sub": ADA}, key=key)
        assert (answer.status, answer.json["code"]) == (401, "invalid_key") and "alice" not in answer.text
    for site in ("lab", "nowhere"):
        assert ((answer := await resolve(desk, {"iss": ISSUER, "sub": ADA}, site)).status, answer.json["code"]) == (403, "wrong_site")
    assert (await changes(desk, "", "lab")).status == 403


async def test_the_feed_begins_where_things_are_and_tells_what_follows_in_order(desk: Desk) -> None:
    begun = (await changes(desk, "")).json
    assert begun["changes"] == [] and begun["reset"] is False
    link = await desk.administration.add(NewLink("hpc", "bob", ISSUER, "bob"), SITE_ISSUER)
    for what in ("suspend", "resume", "revoke"):
        await desk.administration.change(link, what)
    told = (await changes(desk, f"?since={begun['next']}")).json
    assert [one["operation"] for one in told["changes"]] == ["linked", "suspended", "resumed", "unlinked"]
    assert {(one["iss"], one["sub"]) for one in told["changes"]} == {(ISSUER, "bob")}
    assert [one["seq"] for one in told["changes"]] == sorted(one["seq"] for one in told["changes"])
    assert (await changes(desk, f"?since={told['next']}")).json == {"changes": [], "next": told["next"], "reset": False}


async def test_who_waits_is_told_within_a_second_and_not_before(desk: Desk) -> None:
    now = (await changes(desk, "")).json["next"]
    waiting = asyncio.create_task(changes(desk, f"?since={now}&wait_s=20"))
    await asyncio.sleep(0.6)
    assert not waiting.done()
    began = time.monotonic()
    await desk.administration.change(1, "revoke")
    told = (await waiting).json
    assert time.monotonic() - began < 1 and told["changes"][0]["operation"] == "unlinked"


async def test_a_key_that_is_revoked_while_it_waits_is_told_nothing_more(desk: Desk) -> None:
    now = (await changes(desk, "")).json["next"]
    waiting = asyncio.create_task(changes(desk, f"?since={now}&wait_s=20"))
    await asyncio.sleep(0.5)
    await desk.keys.revoke(desk.key.id, "a test")
    await asyncio.sleep(1.2)
    await desk.administration.change(1, "revoke")
    assert (await waiting).status == 401


async def test_a_wait_ends_with_nothing_when_nothing_happens_or_only_elsewhere(desk: Desk) -> None:
    now = (await changes(desk, "")).json["next"]
    waiting = asyncio.create_task(changes(desk, f"?since={now}&wait_s=2"))
    await asyncio.sleep(0.3)
    await desk.administration.add(NewLink("lab", "eve", ISSUER, "eve"), f"{SITE_ISSUER}-lab")
    began = time.monotonic()
    told = (await waiting).json
    assert told["changes"] == [] and told["reset"] is False and 1 < time.monotonic() - began < 4
    assert (await changes(desk, f"?since={told['next']}")).json["reset"] is False


async def test_who_waits_hears_of_what_comes_after_a_failure_of_the_look(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    now, look = (await changes(desk, "")).json["next"], Lookup.latest_change
    failures = iter([RuntimeError("once"), DatabaseAway("twice")])

    async def sometimes(lookup: Lookup) -> int:
        if failure := next(failures, None):
            raise failure
        return await look(lookup)

    waiting = asyncio.create_task(changes(desk, f"?since={now}&wait_s=20"))
    await asyncio.sleep(0.1)
    monkeypatch.setattr(Lookup, "latest_change", sometimes)
    await asyncio.sleep(0.5)
    await desk.administration.change(1, "revoke")
    assert (await waiting).json["changes"][0]["operation"] == "unlinked"


async def test_a_number_of_another_database_means_that_everything_may_have_changed(desk: Desk) -> None:
    assert (await changes(desk, "?since=999999")).json["reset"] is True


@pytest.mark.parametrize("query", ["?since=-1", "?since=x", "?since=1&wait_s=-1", "?since=1e3", "?since=" + "9" * 30])
async def test_a_number_that_is_none_is_400(desk: Desk, query: str) -> None:
    assert (await changes(desk, query)).status == 400


async def test_more_than_a_thousand_changes_come_in_parts_without_a_gap(desk: Desk) -> None:
    begun = (await changes(desk, "")).json["next"]
    numbers = desk.alise.running.keeping.catalogue
    changed = [(numbers.sites["hpc"], numbers.issuers[ISSUER], f"sub{number}") for number in range(2500)]
    async with writing(desk.alise.running.engine) as connection:
        await append(connection, "linked", 0.0, changed)
    seen: list[int] = []
    since = begun
    while told := (await changes(desk, f"?since={since}")).json["changes"]:
        seen += [one["seq"] for one in told]
        since = told[-1]["seq"]
    assert seen == list(range(begun + 1, begun + 2501))
