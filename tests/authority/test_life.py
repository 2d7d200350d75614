"""The authority among its peers: what it tells whom in which order, and what becomes of it when one of them goes."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from teapot.accounts import examine
from teapot.authority.account_directory import Standing
from teapot.authority.account_watch import Serving, Verdict, verdict
from teapot.channel import packets
from teapot.channel.authority_messages import Forget, Identified, Refused
from teapot.channel.spawner_messages import ALLOW, RETIRE, REVOKE, fingerprint
from teapot.configuration import Accounts, Issuer, StorageArea
from tests.authority.conftest import HOME, Start
from tests.authority.issuer import TestIssuer
from tests.authority.process import Authority, Gateway, Spawner, mapped, until

WLCG: dict[str, Any] = {"wlcg.ver": "1.0"}


@pytest.fixture
def policy() -> Accounts:
    return Accounts(minimum_uid=1, nologin="allow", denied=("root",), denied_groups=("root", "shadow"), recheck_s=0.3)


def own_fingerprint(account: str) -> str:
    found = examine(account, Accounts()).account
    return fingerprint(found.uid, found.gid, found.groups)


def next_forget(gateway: Gateway) -> None:
    while not isinstance(gateway.hear(), Forget):
        pass


# --- peers


def test_the_spawner_has_the_row_before_the_gateway_has_its_answer(
    gateway: Gateway, spawner: Spawner, issuer: TestIssuer
) -> None:
    for number in range(50):
        assert isinstance(gateway.answer(issuer.token(**WLCG, jti=str(number))), Identified)
        assert [row.kind for row in spawner.heard()] == [ALLOW]


def test_without_a_spawner_nobody_is_identified_until_there_is_a_new_one(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer, account: str
) -> None:
    token = issuer.token(**WLCG)
    gateway.caller(token)
    spawner.end.close()
    until(lambda: isinstance(gateway.answer(token), Refused))
    assert gateway.problem(token) == "spawner_unavailable"
    new = authority.spawner()
    until(lambda: isinstance(gateway.answer(token), Identified))
    assert new.next(ALLOW).name == account


def test_a_gateway_that_breaks_the_form_loses_its_socket_and_no_other_does(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer
) -> None:
    other = authority.gateway(2)
    gateway.end.send(b"\xff\xff\xff\xff nonsense")
    with pytest.raises(packets.PeerGone):
        gateway.hear()
    assert other.caller(issuer.token(**WLCG)).subject == "alice-at-home"


def test_a_gateway_that_reads_nothing_delays_no_other(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer
) -> None:
    token = issuer.token(**WLCG)
    gateway.end.setblocking(False)
    for _ in range(5000):
        try:
            gateway.ask(token)
        except BlockingIOError:
            time.sleep(0.002)
        spawner.heard()
    other, started = authority.gateway(2), time.monotonic()
    assert other.caller(token).subject == "alice-at-home"
    assert time.monotonic() - started < 1


def test_more_questions_than_can_be_answered_wait_at_the_gateway(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer
) -> None:
    issuer.go_down()
    for number in range(700):
        gateway.end.settimeout(5)
        gateway.ask(issuer.token(**WLCG, jti=str(number)))
    heard = [gateway.hear() for _ in range(700)]
    assert {message.problem for message in heard if isinstance(message, Refused)} == {"issuer_unavailable"}
    assert spawner.heard() == []


def test_a_gateway_introduced_again_is_a_new_one(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer
) -> None:
    again = authority.gateway(1)
    assert again.caller(issuer.token(**WLCG)).subject == "alice-at-home"
    with pytest.raises(packets.PeerGone):
        gateway.hear()


def test_the_observer_is_told_what_was_counted(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer
) -> None:
    token = issuer.token(**WLCG)
    gateway.caller(token), gateway.caller(token), gateway.problem("garbled")
    scraped = authority.scraped()
    assert (scraped.ask, scraped.ready) == (7, True)
    assert dict(scraped.counters["teapot_identify_total"]) == {("identified",): 2.0, ("token_malformed",): 1.0}
    assert dict(scraped.counters["teapot_authority_cache_total"]) == {("hit",): 1.0, ("miss",): 2.0}


# --- the end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(authority: Authority, gateway: Gateway, number: signal.Signals) -> None:
    gateway.problem("garbled")
    assert authority.stop(number) == 0


def test_the_end_of_the_master_is_its_end(authority: Authority, gateway: Gateway) -> None:
    gateway.problem("garbled")
    started = time.monotonic()
    authority.master_goes()
    assert authority.process.wait(6) == 0
    assert time.monotonic() - started < 5.5


def test_what_is_open_is_answered_before_it_leaves(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer
) -> None:
    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(0.7)
        return web.json_response({"keys": issuer.keys})

    issuer.answers["/jwks"] = slow
    gateway.ask(issuer.token(**WLCG))
    until(lambda: issuer.asked["/jwks"])
    authority.process.send_signal(signal.SIGTERM)
    assert isinstance(gateway.hear(), Identified)
    assert authority.process.wait(5) == 0


def test_it_leaves_while_an_issuer_keeps_it_waiting(authority: Authority, gateway: Gateway, issuer: TestIssuer) -> None:
    async def never(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    issuer.answers["/jwks"] = never
    gateway.ask(issuer.token(**WLCG))
    until(lambda: issuer.asked["/jwks"])
    assert authority.stop() == 0


# --- the accounts that are served


def test_a_worker_whose_groups_are_not_those_of_the_directory_retires_once(
    authority: Authority, gateway: Gateway, spawner: Spawner, account: str
) -> None:
    spawner.started(account, "0" * 32)
    assert spawner.next(RETIRE, 3).name == account
    next_forget(gateway)
    time.sleep(1)
    assert spawner.heard() == []


def test_a_worker_that_is_up_to_date_is_left_alone(
    authority: Authority, gateway: Gateway, spawner: Spawner, account: str
) -> None:
    spawner.started(account, own_fingerprint(account))
    time.sleep(1.2)
    assert spawner.heard() == []


def test_an_account_that_is_gone_is_revoked(authority: Authority, gateway: Gateway, spawner: Spawner) -> None:
    spawner.started("gone-away", "0" * 32)
    assert spawner.next(REVOKE, 5).name == "gone-away"
    next_forget(gateway)


def test_an_account_that_the_site_does_not_serve_is_revoked(
    begin: Start, issuer: TestIssuer, users_map: Path, account: str
) -> None:
    authority = begin(accounts=Accounts(recheck_s=0.3), mapping=mapped(users_map))
    spawner = authority.spawner()
    spawner.started(account, own_fingerprint(account))
    assert spawner.next(REVOKE, 3).name == account


def test_a_worker_that_has_ended_is_watched_no_more(authority: Authority, spawner: Spawner) -> None:
    spawner.started("gone-away", "0" * 32, 17)
    spawner.ended("gone-away", 17)
    time.sleep(2)
    assert spawner.heard() == []


def test_an_account_that_the_table_no_longer_names_is_revoked_and_refused(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer, users_map: Path, account: str
) -> None:
    token = issuer.token(**WLCG)
    assert gateway.caller(token).accounts == {"home": account}
    spawner.started(account, own_fingerprint(account))
    users_map.write_text("bin somebody-else\n")
    next_forget(gateway)
    assert spawner.next(REVOKE, 5).name == account
    assert gateway.caller(token).refusals == {"home": "not_mapped"}


def test_somebody_who_is_unlinked_from_a_shared_account_is_refused_and_the_others_go_on(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer, users_map: Path, account: str
) -> None:
    users_map.write_text(f"{account} alice-at-home\n{account} bob\n")
    token = issuer.token(**WLCG)
    assert gateway.caller(token).accounts == {"home": account}
    users_map.write_text(f"{account} bob\n")
    next_forget(gateway)
    assert gateway.caller(token).refusals == {"home": "not_mapped"}
    time.sleep(0.5)
    assert REVOKE not in [form.kind for form in spawner.heard()]


def test_a_table_that_is_just_being_written_revokes_nobody(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer, users_map: Path, account: str
) -> None:
    gateway.caller(issuer.token(**WLCG))
    for _ in range(25):
        users_map.write_text("")
        time.sleep(0.001)
        users_map.write_text(f"{account} alice-at-home\n")
        time.sleep(0.06)
    assert REVOKE not in [form.kind for form in spawner.heard()]


def test_a_fixed_account_is_not_revoked_for_want_of_a_mapping(
    begin: Start, issuer: TestIssuer, users_map: Path, account: str, policy: Accounts
) -> None:
    areas = (HOME, StorageArea(name="vo", path="/vo", root="/vo", account=account))
    authority = begin(issuers=(Issuer(url=issuer.url),), mapping=mapped(users_map), areas=areas, accounts=policy)
    spawner, gateway = authority.spawner(), authority.gateway()
    gateway.caller(issuer.token())
    users_map.write_text("bin somebody-else\n")
    next_forget(gateway)
    time.sleep(0.5)
    assert REVOKE not in [form.kind for form in spawner.heard()]


def test_the_verdict_on_an_account() -> None:
    same, other, refused = Standing("a", "x", ""), Standing("a", "y", ""), Standing("a", "x", "no shell")
    worker = Serving(1, "x")
    assert verdict(worker, same) is verdict(None, other) is Verdict.KEEP
    assert verdict(worker, other) is Verdict.RETIRE
    assert verdict(worker._replace(retiring=True), other) is Verdict.KEEP
    assert verdict(worker, refused) is verdict(None, refused) is Verdict.REVOKE
