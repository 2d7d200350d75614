"""Workers begin, are few, end by themselves, are replaced; and each is one account's, by whatever name."""

import os
import signal
import time
from pathlib import Path

import psutil

from teapot.channel import spawner_messages
from teapot.channel.spawner_messages import Form
from tests.service import accounts as local_accounts
from tests.service.accounts import Account
from tests.service.ledger import Ledger
from tests.service.teapot_process import wait_for
from tests.spawner.conftest import StartSpawner
from tests.spawner.stage import Stage, allow, keep_busy


def test_one_worker_serves_all_gateways_of_an_account(spawner: Stage, alice: Account) -> None:
    authority, one, two = spawner.peer("authority"), spawner.peer("gateway", 1), spawner.peer("gateway", 2)
    authority.say(allow(alice.name, 1), allow(alice.name, 2))
    assert spawner.reach(one, alice.name).serves() and spawner.reach(two, alice.name).serves()
    assert [process.uids().real for process in psutil.Process(spawner.pid).children()] == [alice.uid]


def test_two_names_of_one_account_share_its_worker(spawner: Stage, alice: Account, account_session: Ledger) -> None:
    alias = local_accounts.create_alias("other", alice)
    account_session.accounts.append(alias)
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name), allow(alias.name))
    assert spawner.reach(gateway, alice.name).serves() and spawner.reach(gateway, alias.name, ask=2).serves()
    wait_for(lambda: len(psutil.Process(spawner.pid).children()) == 1, 5, lambda: "two workers of one uid")


def test_a_worker_ends_itself_when_it_is_idle(start_spawner: StartSpawner, alice: Account) -> None:
    spawner = start_spawner({"idle_timeout_s": 0.5})
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name))
    assert spawner.reach(gateway, alice.name).serves()
    started = authority.hears(spawner_messages.STARTED)
    assert authority.hears(spawner_messages.ENDED).number == started.number
    assert spawner.counts()["ended_unexpectedly"] == "0"


def test_a_worker_with_an_open_request_is_not_idle(start_spawner: StartSpawner, alice: Account) -> None:
    spawner = start_spawner({"idle_timeout_s": 0.5})
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name))
    channel = spawner.reach(gateway, alice.name)
    keep_busy(spawner, channel)
    time.sleep(2.5)
    assert channel.serves()


def test_after_its_end_the_next_request_gets_a_new_worker(start_spawner: StartSpawner, alice: Account) -> None:
    spawner = start_spawner({"idle_timeout_s": 0.5})
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name))
    spawner.reach(gateway, alice.name)
    authority.hears(spawner_messages.STARTED)
    authority.hears(spawner_messages.ENDED)
    assert spawner.reach(gateway, alice.name, ask=2).serves()


def test_a_worker_that_was_killed_is_replaced_with_the_next_request(spawner: Stage, alice: Account) -> None:
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name))
    channel = spawner.reach(gateway, alice.name)
    pid = authority.hears(spawner_messages.STARTED).number
    os.kill(pid, signal.SIGKILL)
    assert channel.end.recv(100) == b""
    authority.hears(spawner_messages.ENDED)
    assert spawner.reach(gateway, alice.name, ask=2).serves()
    assert spawner.counts()["ended_unexpectedly"] == "1"


def test_at_the_maximum_the_longest_idle_worker_goes(start_spawner: StartSpawner, alice: Account, bob: Account, vo_demo: Account) -> None:
    spawner = start_spawner({"maximum": 2})
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(*(allow(one.name) for one in (alice, bob, vo_demo)))
    for ask, account in enumerate((alice, bob), start=1):
        assert spawner.reach(gateway, account.name, ask).serves()
        time.sleep(1.2)  # idleness is told about once a second
    assert spawner.reach(gateway, vo_demo.name, ask=3).serves()
    assert {process.uids().real for process in psutil.Process(spawner.pid).children()} == {bob.uid, vo_demo.uid}


def test_a_worker_that_was_idle_and_is_used_again_is_not_the_longest_idle(
    start_spawner: StartSpawner, alice: Account, bob: Account, vo_demo: Account
) -> None:
    spawner = start_spawner({"maximum": 2})
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(*(allow(one.name) for one in (alice, bob, vo_demo)))
    first, _ = (spawner.reach(gateway, account.name, ask) for ask, account in enumerate((alice, bob), start=1))
    time.sleep(1.5)
    assert first.serves()
    time.sleep(1.5)
    assert spawner.reach(gateway, vo_demo.name, ask=3).serves()
    assert {process.uids().real for process in psutil.Process(spawner.pid).children()} == {alice.uid, vo_demo.uid}


def test_at_the_maximum_with_all_workers_busy_a_gateway_is_told_when_to_ask_again(
    start_spawner: StartSpawner, alice: Account, bob: Account
) -> None:
    spawner = start_spawner({"maximum": 1})
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name), allow(bob.name))
    channel = spawner.reach(gateway, alice.name)
    keep_busy(spawner, channel)
    gateway.say(Form(spawner_messages.REACH, 2, 0.0, bob.name))
    form, _ = gateway.hear()
    assert (form.kind, form.name) == (spawner_messages.REFUSED, "too_many_workers") and form.until >= 1
    assert channel.serves()


def test_a_worker_that_does_not_obey_is_killed(spawner: Stage, alice: Account) -> None:
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name))
    spawner.reach(gateway, alice.name)
    pid = authority.hears(spawner_messages.STARTED).number
    os.kill(pid, signal.SIGSTOP)
    authority.say(Form(spawner_messages.REVOKE, name=alice.name))
    assert authority.hears(spawner_messages.ENDED).number == pid
    assert not psutil.pid_exists(pid)


def test_a_retired_worker_finishes_while_another_begins(spawner: Stage, alice: Account) -> None:
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name))
    channel = spawner.reach(gateway, alice.name)
    keep_busy(spawner, channel)
    authority.say(Form(spawner_messages.RETIRE, name=alice.name))
    assert spawner.reach(gateway, alice.name, ask=2).serves()
    assert len(psutil.Process(spawner.pid).children()) == 2


def test_no_worker_inherits_a_descriptor_or_an_environment(spawner: Stage, alice: Account) -> None:
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name))
    channel = spawner.reach(gateway, alice.name)
    assert channel.serves()
    pid = authority.hears(spawner_messages.STARTED).number
    opened = sorted(os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir())
    shared = str(spawner.shared)
    known = ("socket:", "/dev/null", "anon_inode:[eventpoll]", "anon_inode:[eventfd]", shared)
    assert all(target.startswith(known) for target in opened), opened
    assert sum(target.startswith("socket:") for target in opened) == 2, opened  # its control socket, and the channel
    assert Path(f"/proc/{pid}/environ").read_bytes().strip(b"\0") == b""
