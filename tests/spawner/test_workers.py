"""One worker for an account, and what becomes of it: it crashes, retires, hangs, makes room."""

import os
import pwd
import resource
import signal
import subprocess
import time
from collections.abc import Iterator

import psutil
import pytest

from teapot.channel import packets
from teapot.channel import spawner_messages as messages
from teapot.channel.worker_messages import NotServed
from teapot.configuration import StorageArea
from teapot.spawner import dismissal
from tests.service import proc
from tests.service.accounts import Account
from tests.service.hanging_storage import HangingStorage
from tests.spawner.conftest import StartSpawner
from tests.spawner.process import Authority, Gateway, Spawner, begin_upload, has_ended, until


def test_two_gateways_share_one_worker(spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account) -> None:
    other = spawner.gateway(2)
    for each in (gateway, other):
        authority.allow(each.number, alice.name)
        each.channel(alice.name)
    assert len(spawner.workers()) == 1


def test_the_authority_is_told_who_starts_and_who_has_ended(
    spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account
) -> None:
    authority.allow(gateway.number, alice.name)
    gateway.channel(alice.name)
    started = authority.next(messages.STARTED)
    account, _, fingerprint = started.name.partition("\0")
    groups = os.getgrouplist(alice.name, alice.gid)
    assert (account, fingerprint) == (alice.name, messages.fingerprint(alice.uid, alice.gid, groups))
    assert started.number == spawner.worker(alice).pid
    authority.retire(alice.name)
    ended = authority.next(messages.ENDED)
    assert (ended.number, ended.name) == (started.number, alice.name)
    assert not spawner.workers()


def test_a_new_authority_is_told_who_is_served(spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account) -> None:
    authority.allow(gateway.number, alice.name)
    gateway.channel(alice.name)
    assert spawner.authority(2).next(messages.STARTED).number == spawner.worker(alice).pid


def test_an_authority_that_is_slow_to_read_misses_nothing(spawner: Spawner, gateway: Gateway, alice: Account) -> None:
    authority = spawner.authority(queue_bytes=4608)  # the kernel's least: a handful of messages
    authority.allow(gateway.number, alice.name)
    pids = []
    for _ in range(12):
        gateway.channel(alice.name)
        pids.append(spawner.worker(alice).pid)
        spawner.worker(alice).kill()
        until(lambda: not psutil.pid_exists(pids[-1]))
    told = [authority.next(kind).number for _ in pids for kind in (messages.STARTED, messages.ENDED)]
    assert told == [pid for pid in pids for _ in range(2)]


def test_a_crashed_worker_is_replaced(spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account) -> None:
    authority.allow(gateway.number, alice.name)
    channel, observer = gateway.channel(alice.name), spawner.observer()
    first = spawner.worker(alice)
    first.send_signal(signal.SIGSEGV)
    until(lambda: not psutil.pid_exists(first.pid))
    with pytest.raises(packets.PeerGone):
        channel.hear()
    second = gateway.channel(alice.name)
    assert second.answer("PROPFIND", fields={"depth": b"0"}).status == 207
    assert spawner.worker(alice).pid != first.pid
    assert observer.counts()["ended_unexpectedly"] == 1


def test_a_retired_worker_finishes_what_is_open_while_another_one_serves(
    spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account
) -> None:
    authority.allow(gateway.number, alice.name)
    old = gateway.channel(alice.name)
    first = spawner.worker(alice)
    upload = begin_upload(old)
    authority.retire(alice.name)
    until(lambda: isinstance(old.answer("HEAD"), NotServed))
    assert gateway.channel(alice.name).answer("PROPFIND", fields={"depth": b"0"}).status == 207
    assert len(spawner.workers(alice)) == 2
    upload.close()
    old.cancel(999)
    until(lambda: first.pid not in [worker.pid for worker in spawner.workers()])


# --- the maximum


def test_at_the_maximum_the_longest_idle_worker_makes_room(
    start_spawner: StartSpawner, alice: Account, bob: Account, vo_demo: Account
) -> None:
    spawner = start_spawner(maximum=2)
    authority, gateway, channels = spawner.authority(), spawner.gateway(), []
    for account in (alice, bob, vo_demo):
        authority.allow(gateway.number, account.name)
        channels.append(gateway.channel(account.name))
        time.sleep(1.2)  # they tell of their idleness once a second
    assert {worker.uids().real for worker in spawner.workers()} == {bob.uid, vo_demo.uid}


def test_who_has_worked_lately_is_not_the_longest_idle(start_spawner: StartSpawner, alice: Account, bob: Account, vo_demo: Account) -> None:
    spawner = start_spawner(maximum=2)
    authority, gateway = spawner.authority(), spawner.gateway()
    for account in (alice, bob, vo_demo):
        authority.allow(gateway.number, account.name)
    first, _ = gateway.channel(alice.name), gateway.channel(bob.name)
    time.sleep(1.2)
    assert first.answer("HEAD")
    assert gateway.channel(vo_demo.name).answer("HEAD")
    assert {worker.uids().real for worker in spawner.workers()} == {alice.uid, vo_demo.uid}


def test_at_the_maximum_with_nobody_idle_the_answer_is_busy_at_once(start_spawner: StartSpawner, alice: Account, bob: Account) -> None:
    spawner = start_spawner(maximum=1)
    authority, gateway = spawner.authority(), spawner.gateway()
    for account in (alice, bob):
        authority.allow(gateway.number, account.name)
    with begin_upload(gateway.channel(alice.name)):
        before = time.monotonic()
        refused = gateway.reach(bob.name)
    assert (refused.reason, refused.form.until) == ("too_many_workers", 5.0)
    assert time.monotonic() - before < 2.0


def test_an_idle_worker_that_somebody_has_stopped_makes_room_all_the_same(
    start_spawner: StartSpawner, alice: Account, bob: Account
) -> None:
    """People may send signals to their own processes: that must not keep others from being served."""
    spawner = start_spawner(maximum=1)
    authority, gateway = spawner.authority(), spawner.gateway()
    for account in (alice, bob):
        authority.allow(gateway.number, account.name)
    gateway.channel(alice.name).answer("HEAD")
    time.sleep(0.2)
    spawner.worker(alice).suspend()
    assert gateway.channel(bob.name).answer("HEAD")


def test_a_worker_that_was_asked_to_leave_and_is_at_work_outlives_a_renewal(
    start_spawner: StartSpawner, alice: Account, bob: Account
) -> None:
    """Its answer comes to the new program, which must know that it was asked, and not end it by force."""
    spawner = start_spawner(maximum=1)
    authority, gateway, other = spawner.authority(), spawner.gateway(1), spawner.gateway(2)
    authority.allow(gateway.number, alice.name)
    authority.allow(other.number, bob.name)
    channel = gateway.channel(alice.name)
    channel.answer("HEAD")
    time.sleep(0.2)  # it has told that it is idle
    worker = spawner.worker(alice)
    with begin_upload(channel):
        worker.suspend()
        other.ask(bob.name)
        time.sleep(0.2)
        other.end.close()
        spawner.renew()
        time.sleep(1.0)
        worker.resume()
        time.sleep(dismissal.LEAVE_S)
        assert not has_ended(worker), spawner.log


# --- one that hangs


def test_a_revoked_worker_that_hangs_is_ended_by_force(
    spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account
) -> None:
    authority.allow(gateway.number, alice.name)
    gateway.channel(alice.name)
    spawner.worker(alice).suspend()
    authority.revoke(alice.name)
    until(lambda: not spawner.workers(), within_s=8)


def test_a_worker_that_does_not_get_ready_is_not_waited_for(start_spawner: StartSpawner, alice: Account) -> None:
    """The storage hangs already when its area is looked for."""
    with HangingStorage(alice.home / "storage", alice, whole=True) as storage:
        spawner = start_spawner((StorageArea(name="area", path="/area", root=str(storage.folder / "area")),), start_timeout_s=0.3)
        authority, gateway = spawner.authority(), spawner.gateway()
        authority.allow(gateway.number, alice.name)
        assert gateway.reach(alice.name).reason == "worker_failed"
        assert storage.hanging
        storage.answering.set()  # before that not even SIGKILL ends it
        until(lambda: not spawner.workers())


# --- too little of something


def test_without_a_descriptor_to_spare_asks_are_refused_and_the_spawner_goes_on(
    start_spawner: StartSpawner, alice: Account, bob: Account
) -> None:
    spawner = start_spawner(limits={resource.RLIMIT_NOFILE: 32})
    authority, gateway = spawner.authority(), spawner.gateway()
    for account in (alice, bob):
        authority.allow(gateway.number, account.name)
    served = gateway.channel(alice.name)
    before = _settled(spawner)
    others = _use_up_descriptors(spawner, 32)
    assert gateway.reach(bob.name).reason == "worker_failed"
    assert gateway.reach(alice.name).reason == "worker_failed"
    for other in others:
        other.end.close()
    until(lambda: psutil.Process(spawner.process.pid).num_fds() <= before)
    assert gateway.channel(bob.name).answer("HEAD")
    assert served.answer("HEAD")


def _use_up_descriptors(spawner: Spawner, limit: int) -> list[Gateway]:
    """All but one: a pair of sockets needs two."""
    others: list[Gateway] = []
    while _settled(spawner) < limit - 1:
        others.append(spawner.gateway(2 + len(others)))
    return others


def _settled(spawner: Spawner) -> int:
    """Its descriptors, once none has come or gone for a while."""
    process, seen = psutil.Process(spawner.process.pid), [0]
    while len(seen) < 5 or len(set(seen[-5:])) > 1:
        time.sleep(0.03)
        seen.append(process.num_fds())
    return seen[-1]


def test_without_a_process_to_spare_asks_are_refused_and_the_spawner_goes_on(start_spawner: StartSpawner, alice: Account) -> None:
    spawner = start_spawner(limits={resource.RLIMIT_NPROC: 1})
    authority, gateway, observer = spawner.authority(), spawner.gateway(), spawner.observer()
    authority.allow(gateway.number, alice.name)
    assert [gateway.reach(alice.name).reason for _ in range(3)] == ["worker_failed"] * 3
    assert observer.counts()["refused_worker_failed"] == 3


# --- one account, two names


@pytest.fixture
def alias(alice: Account) -> Iterator[str]:
    """Another entry of the directory for alice's uid, with the same groups."""
    name = alice.name.replace("alice", "alicia")
    usual = ["useradd", "--non-unique", "--uid", str(alice.uid), "--gid", str(alice.gid), "--no-create-home"]
    subprocess.run([*usual, "--home-dir", str(alice.home), "--shell", "/bin/sh", name], check=True, capture_output=True)
    assert pwd.getpwnam(name).pw_uid == alice.uid
    yield name
    subprocess.run(["userdel", "--force", name], check=True, capture_output=True)


def test_two_names_of_one_uid_have_one_worker(
    spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account, alias: str
) -> None:
    for name in (alice.name, alias):
        authority.allow(gateway.number, name)
        assert gateway.channel(name).answer("HEAD")
    until(lambda: len(spawner.workers()) == 1)  # the second one is told to go


def test_two_names_of_one_uid_asked_for_at_once_have_one_worker(
    spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account, alias: str
) -> None:
    for name in (alice.name, alias):
        authority.allow(gateway.number, name)
    for name in (alice.name, alias):
        gateway.ask(name)
    for _ in range(2):
        reached = gateway.hear()
        assert reached.channel and reached.channel.answer("HEAD")
    until(lambda: len(spawner.workers()) == 1)


def test_an_account_revoked_by_one_name_is_not_served_by_the_other(
    spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account, alias: str
) -> None:
    for name in (alice.name, alias):
        authority.allow(gateway.number, name)
        gateway.channel(name)
    authority.revoke(alias)
    assert gateway.reach(alice.name).reason == "not_allowed"
    assert gateway.reach(alias).reason == "not_allowed"


def test_a_name_with_other_groups_is_not_served_by_the_worker_that_lacks_them(
    spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account, alias: str
) -> None:
    """Nobody is served with a group less, or more, than the directory says."""
    subprocess.run(["usermod", "--append", "--groups", "games", alias], check=True, capture_output=True)
    for name in (alice.name, alias):
        authority.allow(gateway.number, name)
        assert gateway.channel(name).answer("HEAD")
    assert authority.next(messages.ENDED).name == alice.name
    assert set(proc.status(spawner.worker(alice).pid).groups) == set(os.getgrouplist(alias, alice.gid))


# --- the end


def test_the_end_of_the_master_is_the_end_of_all(start_spawner: StartSpawner, alice: Account) -> None:
    spawner = start_spawner()
    authority, gateway = spawner.authority(), spawner.gateway()
    authority.allow(gateway.number, alice.name)
    gateway.channel(alice.name)
    worker = spawner.worker(alice)
    spawner.master_goes()
    assert spawner.process.wait(10) == 0
    assert not worker.is_running()
