"""A gateway gets a channel while a row of the authority stands, and not otherwise."""

import signal
import time
from collections import Counter

from tests.service.accounts import Account
from tests.spawner.process import Authority, Gateway, Spawner, until


def test_with_a_row_a_gateway_gets_a_channel_that_serves(authority: Authority, gateway: Gateway, alice: Account) -> None:
    authority.allow(gateway.number, alice.name)
    assert gateway.channel(alice.name).answer("PROPFIND", fields={"depth": b"0"}).status == 207


def test_without_a_row_a_gateway_is_refused(spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account) -> None:
    assert gateway.reach(alice.name).reason == "not_allowed"
    assert not spawner.workers()


def test_after_its_time_a_row_is_no_more(authority: Authority, gateway: Gateway, alice: Account) -> None:
    authority.allow(gateway.number, alice.name, for_s=0.05)
    time.sleep(0.1)
    assert gateway.reach(alice.name).reason == "not_allowed"


def test_a_row_is_prolonged_and_never_shortened(authority: Authority, gateway: Gateway, alice: Account) -> None:
    authority.allow(gateway.number, alice.name)
    authority.allow(gateway.number, alice.name, for_s=-1)
    assert gateway.reach(alice.name).channel


def test_a_row_is_for_one_gateway(spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account) -> None:
    other = spawner.gateway(2)
    authority.allow(gateway.number, alice.name)
    assert other.reach(alice.name).reason == "not_allowed"
    assert gateway.reach(alice.name).channel


def test_a_row_is_for_one_account(authority: Authority, gateway: Gateway, alice: Account, bob: Account) -> None:
    authority.allow(gateway.number, alice.name)
    assert gateway.reach(bob.name).reason == "not_allowed"


def test_the_rows_of_a_dead_authority_are_gone(spawner: Spawner, gateway: Gateway, alice: Account) -> None:
    first, observer = spawner.authority(1), spawner.observer()
    first.allow(gateway.number, alice.name)
    first.end.close()
    until(lambda: observer.counts()["rows"] == 0)
    assert gateway.reach(alice.name).reason == "not_allowed"
    spawner.authority(2).allow(gateway.number, alice.name)
    assert gateway.reach(alice.name).channel


def test_what_a_new_authority_allows_holds_at_once(spawner: Spawner, gateway: Gateway, alice: Account) -> None:
    """Its introduction, its row and the gateway's ask may all be there when the spawner looks up: they are read in this order."""
    for number in range(1, 200):
        gateway.reach("nobody-of-this-name")  # so that the gateway's socket has just been read
        authority = spawner.authority(number)
        authority.allow(gateway.number, alice.name)
        assert gateway.reach(alice.name).channel, number
        authority.end.close()


def test_an_authority_that_waits_to_be_introduced_is_heard_before_a_refusal(spawner: Spawner, gateway: Gateway, alice: Account) -> None:
    """The master's word comes on a socket of its own, and a gateway's may be read before it."""
    assert gateway.reach(alice.name).reason == "not_allowed"
    spawner.process.send_signal(signal.SIGSTOP)
    gateway.ask(alice.name)
    spawner.authority(2).allow(gateway.number, alice.name)
    spawner.process.send_signal(signal.SIGCONT)
    assert gateway.hear().channel


def test_a_row_that_a_later_authority_prolonged_outlives_the_first(spawner: Spawner, gateway: Gateway, alice: Account) -> None:
    first, second, observer = spawner.authority(1), spawner.authority(2), spawner.observer()
    first.allow(gateway.number, alice.name)
    until(lambda: observer.counts()["rows"] == 1)
    second.allow(gateway.number, alice.name)
    first.end.close()
    time.sleep(0.2)
    assert gateway.reach(alice.name).channel


def test_the_rows_of_a_dead_gateway_are_gone_and_those_of_others_stay(
    spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account
) -> None:
    other, observer = spawner.gateway(2), spawner.observer()
    for number in (gateway.number, other.number):
        authority.allow(number, alice.name)
    until(lambda: observer.counts()["rows"] == 2)
    gateway.end.close()
    until(lambda: observer.counts()["rows"] == 1)
    assert other.reach(alice.name).channel


def test_a_revoked_account_has_no_rows_and_no_worker(
    spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account
) -> None:
    authority.allow(gateway.number, alice.name)
    gateway.channel(alice.name)
    authority.revoke(alice.name)
    assert gateway.reach(alice.name).reason == "not_allowed"
    until(lambda: not spawner.workers())


def test_what_the_authority_said_before_the_gateway_asked_is_heard_first(authority: Authority, gateway: Gateway) -> None:
    """The two come on different sockets: a loop that serves whichever is ready first refuses several in a hundred.

    None of the names can be an account's: whoever is allowed one is told so at once, without a process.
    """
    answers = Counter(_allow_and_reach(authority, gateway, f"{turn} is none") for turn in range(10_000))
    assert answers == {"account_refused": 10_000}


def _allow_and_reach(authority: Authority, gateway: Gateway, account: str) -> str:
    authority.allow(gateway.number, account, for_s=1.0)
    return gateway.reach(account).reason
