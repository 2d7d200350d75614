"""A gateway reaches an account only while the authority's word stands, for that gateway, at that time."""

import time

import pytest

from teapot.channel import packets, spawner_messages
from teapot.channel.spawner_messages import Form
from teapot.channel.worker_messages import NotServed
from tests.service.accounts import Account
from tests.spawner.conftest import StartSpawner
from tests.spawner.stage import Stage, allow, keep_busy


def test_a_gateway_that_was_allowed_gets_a_channel_to_a_worker_of_that_account(spawner: Stage, alice: Account) -> None:
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name))
    assert spawner.reach(gateway, alice.name).serves()


def test_an_account_that_was_not_allowed_is_refused(spawner: Stage, alice: Account, bob: Account) -> None:
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name))
    assert spawner.refused(gateway, bob.name) == "not_allowed"


def test_what_one_gateway_may_another_may_not(spawner: Stage, alice: Account) -> None:
    authority, other = spawner.peer("authority"), spawner.peer("gateway", 2)
    authority.say(allow(alice.name, gateway=1))
    assert spawner.refused(other, alice.name) == "not_allowed"


def test_after_its_time_a_row_is_none(spawner: Stage, alice: Account) -> None:
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name, seconds=0.3))
    time.sleep(0.4)
    assert spawner.refused(gateway, alice.name) == "not_allowed"


def test_the_end_of_the_authority_ends_its_rows(spawner: Stage, alice: Account) -> None:
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name))
    spawner.reach(gateway, alice.name)
    authority.end.close()
    assert spawner.refused(gateway, alice.name, ask=2) == "not_allowed"


def test_the_rows_of_one_authority_outlive_another(spawner: Stage, alice: Account) -> None:
    old, new, gateway = spawner.peer("authority", 1), spawner.peer("authority", 2), spawner.peer("gateway")
    old.say(allow(alice.name))
    spawner.reach(gateway, alice.name)
    new.say(allow(alice.name))
    old.end.close()
    assert spawner.reach(gateway, alice.name, ask=2).serves()


def test_the_end_of_a_gateway_ends_its_rows(spawner: Stage, alice: Account) -> None:
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name))
    spawner.reach(gateway, alice.name)
    gateway.end.close()
    again = spawner.peer("gateway")
    assert spawner.refused(again, alice.name) == "not_allowed"


def test_a_revocation_ends_rows_worker_and_open_requests(spawner: Stage, alice: Account) -> None:
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name))
    channel = spawner.reach(gateway, alice.name)
    pid = authority.hears(spawner_messages.STARTED).number
    authority.say(Form(spawner_messages.REVOKE, name=alice.name))
    assert authority.hears(spawner_messages.ENDED) == Form(spawner_messages.ENDED, pid, 0.0, alice.name)
    assert channel.end.recv(100) == b""
    assert spawner.refused(gateway, alice.name, ask=2) == "not_allowed"


def test_at_its_deadline_a_channel_takes_nothing_new(spawner: Stage, alice: Account) -> None:
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name, seconds=1.0))
    channel = spawner.reach(gateway, alice.name)
    assert channel.serves()
    time.sleep(1.1)
    with pytest.raises(packets.PeerGone):
        while isinstance(channel.ask("PROPFIND"), NotServed):  # until the worker has closed its receiving side
            time.sleep(0.1)


def test_a_renewed_channel_goes_on(spawner: Stage, alice: Account) -> None:
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name, seconds=0.8))
    channel = spawner.reach(gateway, alice.name)
    authority.say(allow(alice.name, seconds=30))
    time.sleep(1.0)
    assert channel.serves()


def test_an_allowance_that_was_sent_before_the_request_always_counts(start_spawner: StartSpawner, alice: Account) -> None:
    """On two sockets: whichever the spawner happens to read first. With the only worker busy, the answer tells whether a row was seen."""
    spawner = start_spawner({"maximum": 1})
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name))
    channel = spawner.reach(gateway, alice.name)
    keep_busy(spawner, channel)
    reasons = set()
    for number in range(10_000):
        authority.say(allow(f"somebody-{number}", seconds=5))
        reasons.add(spawner.refused(gateway, f"somebody-{number}", ask=number))
    assert reasons == {"too_many_workers"}
