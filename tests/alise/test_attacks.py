"""What is refused, and what it would have given away."""

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from alise.login.provider import Provider
from alise.storage.browser import hash_of
from teapot.demo.certificates import ServerFiles
from tests.alise.conftest import Stage
from tests.alise.providers.oidc_provider import free_port
from tests.alise.running import Browser, alise

ALICE = {"sub": "s-alice", "preferred_username": "alice", "name": "Alice"}
MALLORY = {"sub": "s-mallory", "preferred_username": "mallory"}
ADA = {"sub": "ada@uni.example", "name": "Ada"}


async def logged_in(stage: Stage, **claims: object) -> Browser:
    browser = stage.new_browser()
    answer = await browser.log_in(stage.site, **(claims or ALICE))
    assert (answer.status, answer.headers["Location"]) == (303, "/site")
    return browser


async def linked(stage: Stage) -> Browser:
    browser = await logged_in(stage)
    assert (await browser.prove(stage.ext, **ADA)).headers["Location"] == "/site/confirm"
    assert (await browser.post("/site/confirm", {"decision": "link"})).headers["Location"] == "/site/linked"
    return browser


async def age(browser: Browser, seconds: float) -> None:
    """As if the login had been so long ago."""
    sessions = browser.alise.service.sessions
    session = await sessions.session(browser.cookie)
    assert session
    person = msgspec.structs.replace(session.content.person, authenticated_at=time.time() - seconds)
    await sessions.change(session, person=person)


async def test_two_logins_and_a_confirmation_link(stage: Stage) -> None:
    browser = await linked(stage)
    assert await stage.alise.all_links() == [("alice", "ada@uni.example")]
    assert "Ada" in (await browser.get("/site")).text


async def test_forced_linking_a_callback_of_the_attackers_login_in_the_victims_browser(stage: Stage) -> None:
    attacker, victim = await logged_in(stage, **MALLORY), await logged_in(stage)
    trap = attacker.callback(stage.ext, await attacker.post("/site/link/ext"), "ext", sub="mallorys")
    answer = await victim.get(trap)
    assert answer.status == 400 and "did not begin here" in answer.text
    assert (await victim.get("/site/confirm")).status == 409
    assert await stage.alise.all_links() == [] and stage.ext.sent_codes == []


async def test_login_csrf_a_callback_that_would_log_the_victim_in_as_the_attacker(stage: Stage) -> None:
    attacker, victim = stage.new_browser(), stage.new_browser()
    trap = attacker.callback(stage.site, await attacker.post("/site/login", page="/site"), "site", **MALLORY)
    assert (await victim.get(trap)).status == 400
    assert "mallory" not in (await victim.get("/site")).text


async def test_a_callback_is_taken_once(stage: Stage) -> None:
    browser = stage.new_browser()
    callback = browser.callback(stage.site, await browser.post("/site/login", page="/site"), "site", **ALICE)
    before = browser.cookie
    assert (await browser.get(callback)).status == 303
    assert (await browser.get(callback)).status == 400
    browser.take_cookie(before)
    assert (await browser.get(callback)).status == 400


async def test_a_callback_at_the_address_of_another_provider(stage: Stage) -> None:
    """Mix-up: begun with one, answered as another; the code reaches neither."""
    browser = await logged_in(stage)
    callback = browser.callback(stage.ext, await browser.post("/site/link/ext"), "ext", **ADA)
    assert (await browser.get(callback.replace("/ext/", "/other/"))).status == 400
    assert stage.ext.sent_codes == stage.other.sent_codes == []


async def test_mix_up_an_answer_with_the_iss_of_another_provider(stage: Stage) -> None:
    browser = await logged_in(stage)
    callback = browser.callback(stage.ext, await browser.post("/site/link/ext"), "ext", **ADA)
    assert (await browser.get(f"{callback}&iss={stage.other.issuer}")).status == 400
    assert stage.ext.sent_codes == []


async def test_parameters_given_twice(stage: Stage) -> None:
    browser = stage.new_browser()
    callback = browser.callback(stage.site, await browser.post("/site/login", page="/site"), "site", **ALICE)
    assert (await browser.get(f"{callback}&state=x")).status == 400


@pytest.mark.parametrize("forged", ["x" * 43, "alice", "site:s-alice", "' OR 1=1 --", "a" * 5000])
async def test_a_forged_cookie_is_nobody(stage: Stage, forged: str) -> None:
    await logged_in(stage)
    browser = stage.new_browser()
    answer = await browser.get("/site", headers={"Cookie": f"__Host-alise={forged}"})
    assert answer.status in (200, 400) and "alice" not in answer.text


async def test_a_cookie_stolen_before_logging_out_is_worth_nothing_after(stage: Stage) -> None:
    browser, thief = await logged_in(stage), stage.new_browser()
    stolen = browser.cookie
    await browser.post("/site/logout", page="/site")
    thief.take_cookie(stolen)
    assert "Log in at" in (await thief.get("/site")).text


async def test_what_is_stored_of_a_cookie_opens_no_session(stage: Stage) -> None:
    browser, thief = await logged_in(stage), stage.new_browser()
    for stored in (hash_of(browser.cookie).hex(), hash_of(browser.cookie).hex()[:43]):
        thief.take_cookie(stored)
        assert "Log in at" in (await thief.get("/site")).text


async def test_session_fixation_a_planted_cookie_is_replaced_at_login(stage: Stage) -> None:
    attacker, victim = stage.new_browser(), stage.new_browser()
    await attacker.get("/site")
    victim.take_cookie(attacker.cookie)
    await victim.log_in(stage.site, **ALICE)
    assert victim.cookie != attacker.cookie
    assert "Log in at" in (await attacker.get("/site")).text


async def test_every_login_has_a_new_cookie_and_ends_the_old_one(stage: Stage) -> None:
    browser, old = await logged_in(stage), stage.new_browser()
    old.take_cookie(browser.cookie)
    await age(browser, 400)
    handed_over = await browser.post("/site/link/ext")
    await browser.come_back(stage.site, handed_over, "site", **ALICE)
    assert "Log in at" in (await old.get("/site")).text and "alice" in (await browser.get("/site")).text


async def test_shared_browser_what_b_links_after_a_has_logged_out_is_bs(stage: Stage) -> None:
    browser = await logged_in(stage)
    await browser.prove(stage.ext, **ADA)
    await browser.post("/site/logout", page="/site")
    await browser.log_in(stage.site, sub="s-bob", preferred_username="bob")
    assert (await browser.get("/site/confirm")).status == 409, "a proof of the one before"
    await browser.prove(stage.ext, sub="bobs")
    await browser.post("/site/confirm", {"decision": "link"})
    assert await stage.alise.all_links() == [("bob", "bobs")]


async def test_shared_browser_b_logs_in_without_a_having_logged_out(stage: Stage) -> None:
    browser = await logged_in(stage)
    await browser.prove(stage.ext, **ADA)
    handed_over = await browser.post("/site/login", page="/site")
    await browser.come_back(stage.site, handed_over, "site", sub="s-bob", preferred_username="bob")
    assert (await browser.get("/site/confirm")).status == 409
    assert "bob" in (await browser.get("/site")).text


async def test_a_login_of_somebody_else_does_not_make_a_session_fresh(stage: Stage) -> None:
    browser = await logged_in(stage)
    await age(browser, 400)
    answer = await browser.come_back(stage.site, await browser.post("/site/link/ext"), "site", **MALLORY)
    assert answer.status == 403
    assert "alice" in (await browser.get("/site")).text


async def test_a_login_of_which_the_provider_does_not_say_when_it_was_is_not_recent(stage: Stage) -> None:
    browser = await logged_in(stage, **ALICE, auth_time=None)
    assert "Log in at Example HPC" in (await browser.get("/site/link/ext")).text
    handed_over = await browser.post("/site/link/ext")
    assert handed_over.leads_to.startswith(stage.site.issuer)
    assert (await browser.come_back(stage.site, handed_over, "site", **ALICE, auth_time=None)).status == 400


async def test_an_external_login_is_no_login_here(stage: Stage) -> None:
    browser = stage.new_browser()
    assert (await browser.get("/ext")).status == 404
    assert (await browser.post("/ext/login", page="/site")).status == 404


@pytest.mark.parametrize("address", ["/site/link/ext", "/site/unlink/ext", "/site/confirm", "/site/logout", "/site/sessions"])
async def test_csrf_a_form_of_another_website_changes_nothing(stage: Stage, address: str) -> None:
    browser = await linked(stage)
    await browser.prove(stage.other, sub="second")
    page = await browser.get("/site/confirm")
    answer = await browser.post(address, {"decision": "link"}, page=page, origin="https://evil.example")
    assert answer.status == 403
    assert await stage.alise.all_links() == [("alice", "ada@uni.example")] and "alice" in (await browser.get("/site")).text


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://localhost:1"}, {"Sec-Fetch-Site": "none"}],
    ids=str,
)
async def test_csrf_a_form_without_the_right_origin(stage: Stage, headers: dict[str, str]) -> None:
    browser = await linked(stage)
    token = (await browser.get("/site/unlink/ext")).form_token
    answer = await browser._ask("POST", "/site/unlink/ext", data={"form_token": token}, headers=headers)
    assert answer.status == 403 and len(await stage.alise.all_links()) == 1


async def test_csrf_a_form_with_the_token_of_another_browser(stage: Stage) -> None:
    browser, attacker = await linked(stage), await logged_in(stage, **MALLORY)
    token = (await attacker.get("/site")).form_token
    answer = await browser.post("/site/unlink/ext", {"form_token": token})
    assert answer.status == 403 and len(await stage.alise.all_links()) == 1


async def test_no_get_changes_anything(stage: Stage) -> None:
    browser = await linked(stage)
    await browser.prove(stage.other, sub="second")
    for page in ("unlink/ext", "confirm", "link/other", "linked", "logout", "login", "sessions"):
        await browser.get(f"/site/{page}")
    assert await stage.alise.all_links() == [("alice", "ada@uni.example")] and "alice" in (await browser.get("/site")).text


async def test_a_second_person_linking_the_same_identity_is_refused_and_both_are_told(stage: Stage) -> None:
    alice, bob = await linked(stage), await logged_in(stage, sub="s-bob", preferred_username="bob")
    await bob.prove(stage.ext, **ADA)
    answer = await bob.post("/site/confirm", {"decision": "link"})
    assert answer.status == 409 and "alice" not in answer.text.lower()
    assert "Somebody tried to link" in (await alice.get("/site/activity")).text
    assert await stage.alise.all_links() == [("alice", "ada@uni.example")]


async def test_of_parallel_confirmations_of_one_identity_one_wins(stage: Stage) -> None:
    people = [await logged_in(stage, sub=f"s-{n}", preferred_username=f"user{n}") for n in range(6)]
    for each in people:
        await each.prove(stage.ext, **ADA)
    answers = await asyncio.gather(*(each.post("/site/confirm", {"decision": "link"}) for each in people))
    assert sorted(each.status for each in answers) == [303] + [409] * 5
    assert len(await stage.alise.all_links()) == 1


async def test_a_second_login_that_is_ten_minutes_old_links_nothing(stage: Stage) -> None:
    browser = await logged_in(stage)
    await browser.prove(stage.ext, **ADA)
    page = await browser.get("/site/confirm")
    await age(browser, 601)
    assert (await browser.post("/site/confirm", {"decision": "link"}, page=page)).status == 409
    assert await stage.alise.all_links() == []


async def test_saying_no_forgets_the_proof(stage: Stage) -> None:
    browser = await logged_in(stage)
    await browser.prove(stage.ext, **ADA)
    assert (await browser.post("/site/confirm", {"decision": "cancel"})).headers["Location"] == "/site"
    assert (await browser.get("/site/confirm")).status == 409


async def test_unlinking_long_after_the_login_asks_for_it_again(stage: Stage) -> None:
    browser = await linked(stage)
    await age(browser, 400)
    handed_over = await browser.post("/site/unlink/ext")
    assert len(await stage.alise.all_links()) == 1
    answer = await browser.come_back(stage.site, handed_over, "site", **ALICE)
    assert answer.headers["Location"].startswith("/site/unlink/ext?link=")
    assert len(await stage.alise.all_links()) == 1, "coming back unlinks nothing by itself"
    assert (await browser.post("/site/unlink/ext")).headers["Location"] == "/site"
    assert await stage.alise.all_links() == []


async def test_a_suspended_link_is_shown_as_such_and_not_taken_away(stage: Stage) -> None:
    browser = await linked(stage)
    await stage.alise.run_sql("UPDATE link SET status = 'suspended'")
    assert "has suspended this link" in (await browser.get("/site")).text
    assert (await browser.get("/site/unlink/ext")).status == 403
    answer = await browser.post("/site/unlink/ext", {"link": "1"}, page="/site/link/other")
    assert answer.status == 403 and await stage.alise.all_links() == [("alice", "ada@uni.example")]


async def test_a_suspended_account_sees_nothing_more_with_the_session_it_has(stage: Stage) -> None:
    browser = await logged_in(stage)
    await stage.alise.run_sql("UPDATE account SET status = 'suspended'")
    answer = await browser.get("/site")
    assert answer.status == 403 and "suspended" in answer.text


async def test_whoever_begins_logins_without_end_has_to_wait(tmp_path: Path, server_files: ServerFiles, ca: Path) -> None:
    away = Provider("site", f"https://127.0.0.1:{free_port()}", "alise", "secret", internal=True)
    async with alise(tmp_path, free_port(), [away], server_files, ca, logins_per_minute=3) as running:
        browser = Browser(running)
        answers = [await browser.post("/site/login", page="/site") for _ in range(4)]
        await browser.http.close()
    assert [one.status for one in answers] == [503, 503, 503, 429]
    assert 0 < int(answers[3].headers["Retry-After"]) <= 21


async def test_nobody_unlinks_what_is_somebody_elses(stage: Stage) -> None:
    await linked(stage)
    mallory = await logged_in(stage, **MALLORY)
    answer = await mallory.post("/site/unlink/ext", {"link": "1"}, page="/site")
    assert answer.status == 404 and len(await stage.alise.all_links()) == 1


@pytest.mark.parametrize("parameter", ["redirect_uri", "next", "return_to", "state", "target"])
async def test_open_redirect_no_parameter_or_cookie_leads_elsewhere(stage: Stage, parameter: str) -> None:
    browser = stage.new_browser()
    browser.http.cookie_jar.update_cookies({"redirect_uri": "https://evil.example"})
    evil = {parameter: "https://evil.example/"}
    handed_over = await browser.post("/site/login", evil, page="/site", params=evil)
    callback = browser.callback(stage.site, handed_over, "site", **ALICE)
    answer = await browser.get(callback if parameter == "state" else f"{callback}&{parameter}=https://evil.example/")
    assert "evil" not in handed_over.leads_to and answer.headers["Location"] == "/site"


async def test_the_host_header_chooses_no_address(stage: Stage) -> None:
    browser = stage.new_browser()
    token = (await browser.get("/site")).form_token
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Origin": stage.alise.url}
    headers["Cookie"] = f"__Host-alise={browser.cookie}"
    answer = await browser._ask("POST", "/site/login", data={"form_token": token}, headers=headers)
    assert stage.site.asked(answer.leads_to)["redirect_uri"] == f"{stage.alise.url}/oauth2/site/token"


@pytest.mark.parametrize("username", ["root", "", "../x", "a b", None, 7, ["alice"]], ids=str)
async def test_a_user_name_that_may_not_be_used_logs_nobody_in(stage: Stage, username: object) -> None:
    browser = stage.new_browser()
    assert (await browser.log_in(stage.site, sub="s", preferred_username=username)).status == 403


async def test_a_user_name_that_comes_back_with_another_subject_is_refused(stage: Stage) -> None:
    await logged_in(stage)
    answer = await stage.new_browser().log_in(stage.site, sub="s-new", preferred_username="alice")
    assert answer.status == 403 and "administrator" in answer.text


MARKUP = "{{7777*7}}{% for x in y %}${7777*7}<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.mark.parametrize("claim", ["sub", "name", "email", "eduperson_assurance", "acr", "preferred_username"])
async def test_template_and_html_injection_in_a_claim(stage: Stage, claim: str) -> None:
    browser = await logged_in(stage, **{**ALICE, **({claim: MARKUP} if claim in ("name", "email") else {})})
    value = [MARKUP] if claim == "eduperson_assurance" else MARKUP
    await browser.prove(stage.ext, **{**ADA, claim: value})
    pages = [await browser.get("/site/confirm")]
    await browser.post("/site/confirm", {"decision": "link"})
    pages += [await browser.get(address) for address in ("/site/linked", "/site", "/site/unlink/ext", "/site/activity", "/site/sessions")]
    for page in pages:
        assert "<script" not in page.text and "<img src=x" not in page.text and "54439" not in page.text
        assert page.status == 200


async def test_a_provider_that_is_down_costs_its_own_logins_only(stage: Stage) -> None:
    browser = await linked(stage)
    stage.other.answers["/.well-known/openid-configuration"] = lambda _: asyncio.sleep(60)
    answer, mine = await asyncio.gather(browser.post("/site/link/other"), browser.get("/site"))
    assert answer.status == 503 and "cannot be reached" in answer.text and "Ada" in mine.text


async def test_every_page_has_the_protecting_headers_and_nothing_inline(stage: Stage) -> None:
    browser = await linked(stage)
    for address in ("/", "/site", "/privacy", "/privacy.html", "/site/link/ext", "/site/activity", "/nothing", "/logged-out"):
        answer = await browser.get(address)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["Cache-Control"] == "no-store" and answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not any(word in answer.text for word in ("<script", "style=", "onclick", "http://"))


async def test_the_cookie_is_for_this_host_and_no_script(stage: Stage) -> None:
    answer = await stage.new_browser().get("/site")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-alise=") and "Domain" not in cookie
    for flag in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert flag in cookie


async def test_an_error_page_has_a_request_id_and_no_detail(stage: Stage) -> None:
    browser = await logged_in(stage)
    await stage.alise.run_sql("ALTER TABLE link RENAME TO elsewhere")
    answer = await browser.get("/site")
    assert answer.status == 500 and answer.headers["X-Request-Id"] in answer.text and "no such table" not in answer.text


async def test_ending_other_sessions_ends_them_and_not_this_one(stage: Stage) -> None:
    here, there = await logged_in(stage), await logged_in(stage)
    await here.post("/site/sessions", {"session": "others"})
    assert "Log in at" in (await there.get("/site")).text and "alice" in (await here.get("/site")).text


async def test_nobody_ends_the_session_of_somebody_else(stage: Stage) -> None:
    alice, mallory = await logged_in(stage), await logged_in(stage, **MALLORY)
    await mallory.post("/site/sessions", {"session": hash_of(alice.cookie).hex()}, page="/site")
    assert "alice" in (await alice.get("/site")).text
