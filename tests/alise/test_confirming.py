"""What the last button links: the identity that the page showed, once, while both logins are as new as they were then."""

import asyncio
import time

from tests.alise.conftest import Stage
from tests.alise.test_attacks import ADA, linked, logged_in


async def test_an_identity_that_was_proven_in_another_window_is_not_linked_by_the_page_of_the_first(stage: Stage) -> None:
    browser = await logged_in(stage)
    await browser.prove(stage.ext, **ADA)
    page = await browser.get("/site/confirm")
    await browser.prove(stage.other, "other", sub="second")
    answer = await browser.post("/site/confirm", {"decision": "link"}, page=page)
    assert answer.status == 409 and await stage.alise.all_links() == []
    assert (await browser.post("/site/confirm", {"decision": "link"})).status == 303
    assert await stage.alise.all_links() == [("alice", "second")]


async def test_a_form_without_what_it_showed_links_nothing(stage: Stage) -> None:
    browser = await logged_in(stage)
    await browser.prove(stage.ext, **ADA)
    assert (await browser.post("/site/confirm", {"decision": "link"}, page="/site")).status == 409
    assert await stage.alise.all_links() == []


async def test_a_button_pressed_twice_links_once_and_the_proof_is_used_up(stage: Stage) -> None:
    browser = await logged_in(stage)
    await browser.prove(stage.ext, **ADA)
    page = await browser.get("/site/confirm")
    answers = await asyncio.gather(*(browser.post("/site/confirm", {"decision": "link"}, page=page) for _ in range(4)))
    assert sorted(each.status for each in answers) == [303, 409, 409, 409]
    await browser.post("/site/unlink/ext")
    assert (await browser.post("/site/confirm", {"decision": "link"}, page=page)).status == 409
    assert await stage.alise.all_links() == []


async def test_a_login_that_the_provider_says_is_yet_to_come_is_not_recent(stage: Stage) -> None:
    """Otherwise it would stay recent until then."""
    browser = await logged_in(stage, sub="s-alice", preferred_username="alice", auth_time=time.time() + 3600)
    assert "Log in at Example HPC" in (await browser.get("/site/link/ext")).text


async def test_taking_away_a_link_that_is_gone_meanwhile_is_not_told_as_done(stage: Stage) -> None:
    browser = await linked(stage)
    page = await browser.get("/site/unlink/ext")
    answers = await asyncio.gather(*(browser.post("/site/unlink/ext", page=page) for _ in range(3)))
    assert [each.status for each in answers].count(303) == 1


async def test_a_session_of_an_issuer_that_the_site_has_no_more_is_over(stage: Stage) -> None:
    """The site's login has moved, and the service was started anew."""
    browser = await logged_in(stage)
    old, new = stage.site.issuer, "https://login-of-before.example"
    await stage.alise.run_sql(f"UPDATE browser_session SET issuer = '{new}', content = replace(content, '{old}', '{new}')")
    for page in ("/site", "/site/sessions"):
        assert "og in" in (answer := await browser.get(page)).text and answer.status in (200, 401)
    assert (await browser.log_in(stage.site, sub="s-alice", preferred_username="alice")).status == 303
