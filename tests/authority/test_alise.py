"""The mapping method `alise`: the real authority, and over HTTPS an ALISE of either version that may misbehave."""

import pwd
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from teapot.channel.authority_messages import Caller, Forget
from teapot.channel.spawner_messages import RETIRE, REVOKE
from teapot.configuration import Issuer, Mapping, MappingAlise, MappingClaim, MappingFile, Trust
from teapot.demo.certificates import ServerFiles
from tests.authority.conftest import HOME, Start
from tests.authority.issuer import TestIssuer
from tests.authority.process import Authority, Gateway, Spawner, until
from tests.service import alise_stub
from tests.service.alise_stub import KEY, SITE, WRONG, AliseStub, Handler

ALICE = "alice-at-home"
SOON_S = 5.0  # what is promised of an unlink


@pytest.fixture
def alise(server_files: ServerFiles, issuer: TestIssuer, account: str) -> Iterator[AliseStub]:
    """alice is linked."""
    with AliseStub(server_files) as stub:
        stub.link(issuer.url, ALICE, account)
        yield stub


@pytest.fixture
def other_account(account: str) -> str:
    return next(entry.pw_name for entry in pwd.getpwall() if entry.pw_name in ("games", "man", "www-data") and entry.pw_name != account)


@pytest.fixture
def start(begin: Start, alise: AliseStub, issuer: TestIssuer, ca: Path) -> Start:
    """start(methods=…, …keys of [mapping.alise])."""

    def started(mapping: dict[str, Any] | None = None, **keys: Any) -> Authority:
        settings = MappingAlise(**{"url": alise.url, "site": SITE, "api_key_file": "/k", "timeout_s": 1.0, **keys})
        chain = Mapping(**{"methods": ("alise",), "alise": settings, **(mapping or {})})
        issuers = (Issuer(url=issuer.url),)
        return begin(secret=KEY, issuers=issuers, mapping=chain, areas=(HOME,), trust=Trust(ca=str(ca)))

    return started


@pytest.fixture
def authority(start: Start) -> Authority:
    return start()


def next_forget(gateway: Gateway) -> None:
    while not isinstance(gateway.hear(), Forget):
        pass


def ask(gateway: Gateway, issuer: TestIssuer, subject: str = ALICE) -> Caller:
    """With a token of its own, so that no answer of the authority's own cache is meant."""
    return gateway.caller(issuer.token(sub=subject, jti=str(time.monotonic_ns())))


def is_told(authority: Authority) -> bool:
    return dict(authority.scraped().gauges["teapot_alise_feed"]) == {(): 1.0}


# --- who is who


def test_who_is_linked_has_that_account(gateway: Gateway, issuer: TestIssuer, account: str) -> None:
    caller = ask(gateway, issuer)
    assert (caller.accounts, caller.refusals, caller.link_url) == ({"home": account}, {}, "")


def test_who_is_not_linked_is_told_where_to_link(gateway: Gateway, issuer: TestIssuer, alise: AliseStub) -> None:
    caller = ask(gateway, issuer, "mallory")
    assert (caller.refusals, caller.link_url) == ({"home": "not_linked"}, f"{alise.url}/{SITE}")


def test_the_configured_page_is_told_when_alise_names_none_that_is_one(start: Start, issuer: TestIssuer, alise: AliseStub) -> None:
    alise.speaks = "v1"
    authority = start(link_url="https://link.example.org/here")
    authority.spawner()
    assert ask(authority.gateway(), issuer, "mallory").link_url == "https://link.example.org/here"


@pytest.mark.parametrize("subject", ["a+b", "a%2Bb", "x y", "urn:x#y@z", "a/b", "é", "..", "a%", "'"])
def test_a_subject_is_taken_as_it_is(gateway: Gateway, issuer: TestIssuer, alise: AliseStub, account: str, subject: str) -> None:
    alise.link(issuer.url, subject, account)
    assert ask(gateway, issuer, subject).accounts == {"home": account}


def test_the_same_subject_of_another_issuer_is_not_linked(gateway: Gateway, issuer: TestIssuer, alise: AliseStub, account: str) -> None:
    alise.link("https://elsewhere.example.org/", "bob", account)
    assert ask(gateway, issuer, "bob").refusals == {"home": "not_linked"}


def test_who_is_suspended_is_refused_whatever_the_next_method_says(
    start: Start, issuer: TestIssuer, alise: AliseStub, account: str
) -> None:
    alise.suspend(issuer.url, ALICE)
    claim = (MappingClaim(claim="preferred_username", issuers=(issuer.url,)),)
    authority = start({"methods": ("alise", "claim"), "claim": claim})
    authority.spawner()
    token = issuer.token(preferred_username=account)
    assert authority.gateway().caller(token).refusals == {"home": "link_suspended"}


@pytest.mark.parametrize("name", ["../root", "a b", "-x", "alice\n", "x" * 300])
def test_a_name_that_cannot_be_an_account_is_not_served(
    gateway: Gateway, issuer: TestIssuer, alise: AliseStub, authority: Authority, name: str
) -> None:
    alise.link(issuer.url, "bob", name)
    assert ask(gateway, issuer, "bob").refusals == {"home": "account_not_served"}


# --- the chain


def test_the_next_method_is_asked_about_who_is_not_linked(start: Start, issuer: TestIssuer, account: str) -> None:
    claim = (MappingClaim(claim="preferred_username", issuers=(issuer.url,)),)
    authority = start({"methods": ("alise", "claim"), "claim": claim})
    authority.spawner()
    gateway = authority.gateway()
    assert gateway.caller(issuer.token(sub="bob", preferred_username=account)).accounts == {"home": account}
    assert gateway.caller(issuer.token(sub="bob")).refusals == {"home": "not_linked"}


def test_who_stands_in_the_table_before_is_not_asked_for(
    start: Start, issuer: TestIssuer, alise: AliseStub, users_map: Path, account: str
) -> None:
    authority = start({"methods": ("file", "alise"), "file": MappingFile(path=str(users_map))})
    authority.spawner()
    assert ask(authority.gateway(), issuer).accounts == {"home": account}
    assert alise.asked["resolve"] == 0


def test_an_alise_that_is_down_is_not_passed_over(start: Start, issuer: TestIssuer, alise: AliseStub, account: str) -> None:
    alise.go_down()
    claim = (MappingClaim(claim="preferred_username", issuers=(issuer.url,)),)
    authority = start({"methods": ("alise", "claim"), "claim": claim})
    authority.spawner()
    caller = authority.gateway().caller(issuer.token(sub="bob", preferred_username=account))
    assert caller.refusals == {"home": "mapping_unavailable"}


# --- what is remembered


def test_many_who_ask_at_once_cost_one_question(
    authority: Authority, gateway: Gateway, issuer: TestIssuer, alise: AliseStub
) -> None:
    tokens = [issuer.token(n=number) for number in range(100)]
    for token in tokens:
        gateway.ask(token)
    assert all(getattr(gateway.hear(), "caller").accounts for _ in tokens)  # noqa: B009
    assert alise.asked["resolve"] == 1


def test_while_it_tells_of_changes_a_link_is_asked_for_once(start: Start, issuer: TestIssuer, alise: AliseStub) -> None:
    authority = start(link_ttl_without_feed_s=0.2)
    authority.spawner()
    gateway = authority.gateway()
    until(lambda: is_told(authority))
    ask(gateway, issuer)
    time.sleep(0.5)
    ask(gateway, issuer)
    assert alise.asked["resolve"] == 1


def test_while_it_does_not_a_link_is_asked_for_again_and_no_gateway_keeps_it_longer(
    start: Start, issuer: TestIssuer, alise: AliseStub
) -> None:
    alise.instead["changes"] = alise_stub.error_500
    authority = start(link_ttl_without_feed_s=0.5)
    authority.spawner()
    gateway = authority.gateway()
    assert ask(gateway, issuer).cache_until < time.monotonic() + 0.5
    time.sleep(0.6)
    ask(gateway, issuer)
    assert alise.asked["resolve"] == 2


def test_who_links_and_comes_again_is_let_in(
    gateway: Gateway, authority: Authority, issuer: TestIssuer, alise: AliseStub, account: str
) -> None:
    until(lambda: is_told(authority))
    assert ask(gateway, issuer, "bob").refusals == {"home": "not_linked"}
    alise.link(issuer.url, "bob", account)
    next_forget(gateway)
    assert ask(gateway, issuer, "bob").accounts == {"home": account}


# --- what changes


def test_an_unlink_reaches_gateways_and_the_worker_at_once(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer, alise: AliseStub, account: str
) -> None:
    until(lambda: is_told(authority))
    token = issuer.token()
    gateway.caller(token)
    spawner.started(account, "0" * 32)
    began = time.monotonic()
    alise.unlink(issuer.url, ALICE)
    next_forget(gateway)
    assert gateway.caller(token).refusals == {"home": "not_linked"}
    assert spawner.next(REVOKE, SOON_S).name == account
    assert time.monotonic() - began < SOON_S


def test_a_rename_moves_to_the_new_account_and_ends_the_old_one_s_worker(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer, alise: AliseStub, account: str, other_account: str
) -> None:
    until(lambda: is_told(authority))
    token = issuer.token()
    gateway.caller(token)
    alise.rename(issuer.url, ALICE, other_account)
    next_forget(gateway)
    assert spawner.next(REVOKE, SOON_S).name == account
    assert gateway.caller(token).accounts == {"home": other_account}


def test_a_suspension_ends_the_worker(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer, alise: AliseStub, account: str
) -> None:
    until(lambda: is_told(authority))
    token = issuer.token()
    gateway.caller(token)
    alise.suspend(issuer.url, ALICE)
    assert spawner.next(REVOKE, SOON_S).name == account
    assert gateway.caller(token).refusals == {"home": "link_suspended"}


def test_an_unlink_from_an_account_that_others_have_lets_their_transfers_finish(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer, alise: AliseStub, account: str
) -> None:
    alise.link(issuer.url, "bob", account)
    until(lambda: is_told(authority))
    ask(gateway, issuer), ask(gateway, issuer, "bob")
    spawner.started(account, "0" * 32)
    alise.unlink(issuer.url, ALICE)
    assert spawner.next(RETIRE, SOON_S).name == account
    assert ask(gateway, issuer, "bob").accounts == {"home": account}
    assert REVOKE not in [form.kind for form in spawner.heard()]


def test_an_account_that_the_table_names_for_somebody_is_not_revoked_by_an_unlink(
    start: Start, issuer: TestIssuer, alise: AliseStub, users_map: Path, account: str
) -> None:
    users_map.write_text(f"{account} bob\n")
    authority = start({"methods": ("file", "alise"), "file": MappingFile(path=str(users_map))})
    spawner, gateway = authority.spawner(), authority.gateway()
    until(lambda: is_told(authority))
    ask(gateway, issuer), ask(gateway, issuer, "bob")
    spawner.started(account, "0" * 32)
    alise.unlink(issuer.url, ALICE)
    assert spawner.next(RETIRE, SOON_S).name == account


def test_news_that_change_nothing_cost_no_worker(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer, alise: AliseStub, account: str
) -> None:
    """Told late of what was known already: somebody links, and comes before the news do."""
    until(lambda: is_told(authority))
    ask(gateway, issuer)
    alise.link(issuer.url, ALICE, account)
    next_forget(gateway)
    time.sleep(0.5)
    assert not {RETIRE, REVOKE} & {form.kind for form in spawner.heard()}


def test_news_of_people_who_were_never_here_disturb_nobody(
    authority: Authority, gateway: Gateway, issuer: TestIssuer, alise: AliseStub, account: str
) -> None:
    until(lambda: is_told(authority))
    token = issuer.token()
    gateway.caller(token)
    hits = dict(authority.scraped().counters["teapot_authority_cache_total"]).get(("hit",), 0.0)
    for number in range(20):
        alise.link(issuer.url, f"somebody-{number}", "bin")
    time.sleep(0.5)
    gateway.caller(token)
    assert dict(authority.scraped().counters["teapot_authority_cache_total"])[("hit",)] == hits + 1


def test_an_unlink_while_alise_hangs_up_is_told_when_it_is_back(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer, alise: AliseStub, account: str
) -> None:
    until(lambda: is_told(authority))
    token = issuer.token()
    gateway.caller(token)
    alise.instead["changes"] = alise_stub.hang_up
    alise.go_down()
    alise.unlink(issuer.url, ALICE)
    time.sleep(0.5)
    alise.come_back()
    time.sleep(0.5)
    alise.instead.clear()
    assert spawner.next(REVOKE, SOON_S).name == account
    assert gateway.caller(token).refusals == {"home": "not_linked"}


def test_after_a_restored_database_everything_is_asked_for_again(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer, alise: AliseStub, account: str
) -> None:
    until(lambda: is_told(authority))
    token = issuer.token()
    gateway.caller(token)
    alise.unlink(issuer.url, ALICE, told=False)
    alise.restore()
    assert spawner.next(REVOKE, SOON_S).name == account
    assert gateway.caller(token).refusals == {"home": "not_linked"}


def test_an_account_that_cannot_be_asked_for_after_an_unlink_is_lost(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer, alise: AliseStub, account: str
) -> None:
    until(lambda: is_told(authority))
    token = issuer.token()
    gateway.caller(token)
    alise.instead["resolve"] = alise_stub.never
    alise.unlink(issuer.url, ALICE)
    assert spawner.next(REVOKE, SOON_S).name == account
    assert gateway.caller(token).refusals == {"home": "mapping_unavailable"}


def test_what_is_found_out_after_a_link_was_cut_without_news_counts_as_well(
    start: Start, issuer: TestIssuer, alise: AliseStub, account: str
) -> None:
    alise.instead["changes"] = alise_stub.error_500
    authority = start(link_ttl_without_feed_s=0.2)
    spawner, gateway = authority.spawner(), authority.gateway()
    ask(gateway, issuer)
    alise.unlink(issuer.url, ALICE)
    time.sleep(0.3)
    assert ask(gateway, issuer).refusals == {"home": "not_linked"}
    assert spawner.next(REVOKE, SOON_S).name == account


# --- down


def test_who_was_confirmed_after_news_stays_known_when_alise_goes_down(
    authority: Authority, gateway: Gateway, issuer: TestIssuer, alise: AliseStub, account: str
) -> None:
    until(lambda: is_told(authority))
    ask(gateway, issuer)
    asked = alise.asked["resolve"]
    alise.link(issuer.url, ALICE, account)
    next_forget(gateway)
    until(lambda: alise.asked["resolve"] > asked)
    time.sleep(0.1)
    alise.go_down()
    assert ask(gateway, issuer).accounts == {"home": account}


def test_while_alise_is_down_who_is_known_goes_on_and_nobody_knows_who_others_are(
    start: Start, issuer: TestIssuer, alise: AliseStub, account: str
) -> None:
    authority = start(link_ttl_without_feed_s=0.1, link_ttl_s=0.1)
    authority.spawner()
    gateway = authority.gateway()
    ask(gateway, issuer)
    alise.go_down()
    time.sleep(0.2)
    assert ask(gateway, issuer).accounts == {"home": account}
    caller = ask(gateway, issuer, "mallory")
    assert (caller.refusals, caller.link_url) == ({"home": "mapping_unavailable"}, "")
    alise.come_back()
    until(lambda: ask(gateway, issuer, "mallory").refusals == {"home": "not_linked"})


def test_nobody_goes_on_for_ever(start: Start, issuer: TestIssuer, alise: AliseStub, account: str) -> None:
    authority = start(link_ttl_without_feed_s=0.1, link_ttl_s=0.1, stale_if_down_s=1.0)
    authority.spawner()
    gateway = authority.gateway()
    ask(gateway, issuer)
    alise.go_down()
    time.sleep(1.2)
    assert ask(gateway, issuer).refusals == {"home": "mapping_unavailable"}


def test_who_was_not_linked_is_unknown_once_alise_is_down(start: Start, issuer: TestIssuer, alise: AliseStub) -> None:
    authority = start(no_link_ttl_s=0.1)
    authority.spawner()
    gateway = authority.gateway()
    assert ask(gateway, issuer, "mallory").refusals == {"home": "not_linked"}
    alise.go_down()
    time.sleep(0.2)
    assert ask(gateway, issuer, "mallory").refusals == {"home": "mapping_unavailable"}


def test_after_a_few_failures_nobody_waits_for_alise_any_more(start: Start, issuer: TestIssuer, alise: AliseStub) -> None:
    alise.instead["resolve"] = alise_stub.never
    authority = start(timeout_s=0.5)
    authority.spawner()
    gateway = authority.gateway()
    for number in range(3):
        ask(gateway, issuer, f"somebody-{number}")
    asked = alise.asked["resolve"]
    for number in range(5):
        assert ask(gateway, issuer, f"mallory-{number}").refusals == {"home": "mapping_unavailable"}
    assert alise.asked["resolve"] <= asked + 1, "now and then somebody has to find out whether it is back"
    alise.instead.clear()
    until(lambda: ask(gateway, issuer, "mallory").refusals == {"home": "not_linked"})


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
@pytest.mark.parametrize("speaks", ["v2", "v1"])
def test_an_answer_that_is_none_is_never_taken_for_not_linked_and_no_key_is_told(
    start: Start, issuer: TestIssuer, alise: AliseStub, account: str, wrong: Handler, speaks: Any
) -> None:
    alise.speaks = speaks
    authority = start(timeout_s=0.5)
    authority.spawner()
    gateway = authority.gateway()
    alise.instead = {"resolve": wrong, "changes": wrong, "v1": wrong}
    for subject in (ALICE, "mallory"):
        assert ask(gateway, issuer, subject).refusals == {"home": "mapping_unavailable"}
    alise.instead.clear()
    until(lambda: ask(gateway, issuer).accounts == {"home": account})
    assert KEY not in authority.log


@pytest.mark.parametrize("speaks", ["v2", "v1"])
def test_a_key_that_is_refused_is_told_to_the_admin_as_such(start: Start, issuer: TestIssuer, alise: AliseStub, speaks: Any) -> None:
    alise.speaks, alise.key = speaks, "another"
    authority = start()
    authority.spawner()
    assert ask(authority.gateway(), issuer).refusals == {"home": "mapping_unavailable"}
    assert "does not accept our API key" in authority.log
    assert KEY not in authority.log
    assert ("key_refused",) in dict(authority.scraped().counters["teapot_alise_lookups_total"])


def test_a_connection_that_was_closed_when_it_was_used_again_costs_nobody_an_answer(
    gateway: Gateway, issuer: TestIssuer, alise: AliseStub, account: str
) -> None:
    async def hang_up_once(request: web.BaseRequest) -> web.StreamResponse:
        del alise.instead["resolve"]
        return await alise_stub.hang_up(request)

    alise.link(issuer.url, "bob", account)
    ask(gateway, issuer)
    alise.instead["resolve"] = hang_up_once
    assert ask(gateway, issuer, "bob").accounts == {"home": account}


def test_somebody_whom_alise_stumbles_over_keeps_nobody_else_out(
    alise_v1: AliseStub, gateway: Gateway, issuer: TestIssuer, account: str
) -> None:
    alise_v1.instead["v1"] = alise_stub.error_200
    for _ in range(10):
        assert ask(gateway, issuer, "a:b").refusals == {"home": "mapping_unavailable"}
    alise_v1.instead.clear()
    assert ask(gateway, issuer).accounts == {"home": account}


def test_a_site_that_alise_does_not_know_is_no_answer(start: Start, issuer: TestIssuer) -> None:
    authority = start(site="nosite")
    authority.spawner()
    assert ask(authority.gateway(), issuer).refusals == {"home": "mapping_unavailable"}


def test_an_alise_that_another_authority_vouches_for_is_not_asked(
    begin: Start, alise: AliseStub, issuer: TestIssuer
) -> None:
    mapping = Mapping(methods=("alise",), alise=MappingAlise(url=alise.url, site=SITE, api_key_file="/k"))
    authority = begin(secret=KEY, issuers=(Issuer(url=issuer.url),), mapping=mapping, areas=(HOME,))
    authority.spawner()
    assert ask(authority.gateway(), issuer).refusals == {"home": "mapping_unavailable"}
    assert alise.seen == [], "the key is sent to nobody whose certificate is not trusted"
    assert "CERTIFICATE_VERIFY_FAILED" in authority.log


# --- API v1


@pytest.fixture
def alise_v1(alise: AliseStub) -> AliseStub:
    alise.speaks = "v1"
    return alise


@pytest.mark.parametrize("subject", ["a+b", "a%2Bb", "x y", "urn:x#y@z", "é", "a%", "'", "%252B"])
def test_v1_finds_a_subject_as_it_is(
    alise_v1: AliseStub, gateway: Gateway, issuer: TestIssuer, account: str, subject: str
) -> None:
    alise_v1.link(issuer.url, subject, account)
    assert ask(gateway, issuer, subject).accounts == {"home": account}


def test_a_path_that_is_decoded_twice_gives_nobody_somebody_else_s_account(
    alise_v1: AliseStub, gateway: Gateway, issuer: TestIssuer, account: str
) -> None:
    alise_v1.link(issuer.url, "a+b", account)
    alise_v1.link(issuer.url, "c d", account)
    for mallory in ("a%2Bb", "a%252Bb", "c+d", "c%20d"):
        assert ask(gateway, issuer, mallory).refusals == {"home": "not_linked"}, mallory


def test_v1_may_know_an_issuer_with_a_slash_less_or_more(
    alise_v1: AliseStub, gateway: Gateway, issuer: TestIssuer, account: str
) -> None:
    alise_v1.link(issuer.url.rstrip("/"), "a+b", account)
    assert issuer.url.endswith("/")
    assert ask(gateway, issuer, "a+b").accounts == {"home": account}


def test_a_subject_with_a_slash_is_not_linked_by_way_of_v1(alise_v1: AliseStub, gateway: Gateway, issuer: TestIssuer) -> None:
    ask(gateway, issuer)
    assert ask(gateway, issuer, "a/b").refusals == {"home": "not_linked"}


def test_v1_is_asked_for_a_link_again_soon_and_its_key_goes_in_the_query_as_it_wants_it(
    alise_v1: AliseStub, start: Start, issuer: TestIssuer, account: str
) -> None:
    authority = start(link_ttl_without_feed_s=0.3)
    authority.spawner()
    gateway = authority.gateway()
    assert ask(gateway, issuer).cache_until < time.monotonic() + 0.4
    time.sleep(0.4)
    ask(gateway, issuer)
    assert alise_v1.asked["v1"] == 2
    assert [target for target in alise_v1.seen if target.endswith(f"/user/{ALICE}?apikey={KEY}")]
    assert KEY not in authority.log


def test_an_alise_that_learns_v2_is_used_as_such(
    alise_v1: AliseStub, gateway: Gateway, issuer: TestIssuer, account: str
) -> None:
    assert ask(gateway, issuer).accounts == {"home": account}
    alise_v1.instead["v1"], alise_v1.speaks = alise_stub.gone, "v2"
    assert ask(gateway, issuer, "mallory").refusals == {"home": "mapping_unavailable"}
    assert ask(gateway, issuer, "eve").refusals == {"home": "not_linked"}
    assert alise_v1.asked["resolve"] >= 2


def test_what_is_no_alise_at_all_is_told_as_such(alise_v1: AliseStub, authority: Authority, gateway: Gateway, issuer: TestIssuer) -> None:
    alise_v1.instead = {"resolve": alise_stub.gone, "v1": alise_stub.gone}
    assert ask(gateway, issuer).refusals == {"home": "mapping_unavailable"}
    assert "neither its v2 nor its v1 is at mapping.alise.url" in authority.log
