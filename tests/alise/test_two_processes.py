"""Two `alise serve` on one database, begun at the same time on an empty one: what one has decided, the other knows."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from alise.login.provider import Provider
from teapot.demo.certificates import ServerFiles
from tests.alise.providers.made_provider import MadeProvider, made_provider
from tests.alise.providers.oidc_provider import free_port
from tests.alise.running import Answer, Browser, Client
from tests.alise.service import AliseProcess

PEOPLE = 20


class Pair(NamedTuple):
    processes: tuple[AliseProcess, AliseProcess]
    site: MadeProvider
    ext: MadeProvider
    stack: AsyncExitStack

    async def about_to_link(self, number: int, subject: str) -> Browser:
        """A person of their own, at one of the two, with only the last step before them."""
        browser = Browser(self.processes[number % 2])
        self.stack.push_async_callback(browser.http.close)
        logged_in = await browser.log_in(self.site, sub=f"uid-{number}", preferred_username=f"user{number}")
        assert logged_in.status == 303
        assert (await browser.prove(self.ext, sub=subject)).headers["Location"] == "/site/confirm"
        return browser

    async def look_up(self, process: AliseProcess, subject: str, key: str) -> Answer:
        client = Client(process)
        self.stack.push_async_callback(client.http.close)
        issuer = hashlib.sha1(self.ext.issuer.encode()).hexdigest()
        return await client.get(f"/api/v1/target/site/mapping/issuer/{issuer}/user/{subject}", key)


@pytest.fixture
async def pair(tmp_path: Path, server_files: ServerFiles, ca: Path, database_url: str) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        site, ext = [await stack.enter_async_context(made_provider()) for _ in range(2)]
        described = [
            Provider("site", site.issuer, "alise", "secret", internal=True, username_claim="preferred_username"),
            Provider("ext", ext.issuer, "alise", "secret"),
        ]
        started = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            started.append(AliseProcess(tmp_path / name, free_port(), described, server_files, ca, database_url))
            stack.callback(started[-1].kill)
        await asyncio.gather(*(asyncio.to_thread(each.start) for each in started))
        yield Pair((started[0], started[1]), site, ext, stack)


async def test_of_twenty_who_link_one_identity_at_the_same_time_exactly_one_has_it(pair: Pair) -> None:
    people = [await pair.about_to_link(number, "wanted") for number in range(PEOPLE)]
    answers = await asyncio.gather(*(each.post("/site/confirm", {"decision": "link"}) for each in people))
    assert sorted(one.status for one in answers) == [303] + [409] * (PEOPLE - 1), [one.text[:200] for one in answers]
    (winner,) = [number for number, one in enumerate(answers) if one.status == 303]
    listed = pair.processes[0].run_json("links", "list")
    assert [(one["username"], one["subject"]) for one in listed] == [(f"user{winner}", "wanted")]
    assert pair.processes[0].run_json("audit", "verify")["whole"]


async def test_twenty_who_link_identities_of_their_own_all_have_them(pair: Pair) -> None:
    people = [await pair.about_to_link(number, f"own{number}") for number in range(PEOPLE)]
    answers = await asyncio.gather(*(each.post("/site/confirm", {"decision": "link"}) for each in people))
    assert {one.status for one in answers} == {303}
    listed = pair.processes[0].run_json("links", "list")
    assert {(one["username"], one["subject"]) for one in listed} == {(f"user{n}", f"own{n}") for n in range(PEOPLE)}
    assert pair.processes[0].run_json("audit", "verify")["whole"]


async def test_what_is_linked_or_taken_away_at_one_is_so_at_the_other_with_the_next_look_up(pair: Pair) -> None:
    one, two = pair.processes
    key = one.run_json("keys", "create", "--site", "site", "--owner", "a service")["key"]
    browser = await pair.about_to_link(0, "ada")
    assert (await pair.look_up(two, "ada", key)).status == 401
    assert (await browser.post("/site/confirm", {"decision": "link"})).status == 303
    assert (await pair.look_up(two, "ada", key)).json["internal"]["username"] == "user0"
    one.run("links", "revoke", str(one.run_json("links", "list")[0]["id"]))
    assert (await pair.look_up(two, "ada", key)).status == 401
