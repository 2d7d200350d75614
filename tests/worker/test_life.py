"""A worker serves until nobody needs it, until its channel's deadline, until it is told to go: and loses nothing on the way."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from teapot.channel import packets
from teapot.channel.worker_messages import Answer, EndOfBody, NotServed
from teapot.configuration import StorageArea
from tests.service.accounts import Account
from tests.spawner.conftest import StartSpawner
from tests.spawner.process import Authority, Channel, Gateway, Spawner, begin_upload, has_ended, until


def _finish(channel: Channel, stream: socket.socket, content: bytes) -> Answer:
    stream.sendall(content)
    stream.close()
    packets.send(channel.end, EndOfBody(999, len(content)))
    said = channel.hear().message
    assert isinstance(said, Answer)
    return said


def _takes_nothing(channel: Channel) -> bool:
    """Either it cannot be sent, or it is said that nothing was done."""
    try:
        return isinstance(channel.answer("HEAD"), NotServed)
    except packets.PeerGone:
        return True


@pytest.fixture
def folder(alice: Account) -> Path:
    """What alice's worker may write: empty before, whatever other tests did."""
    for path in alice.home.iterdir():
        if path.is_file():
            path.unlink()
    return alice.home


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file()]


# --- idle


def test_an_idle_timeout_of_months_is_waited_for(start_spawner: StartSpawner, alice: Account) -> None:
    """More milliseconds than poll(2) takes, once no channel has a deadline before it."""
    spawner = start_spawner(idle_timeout_s=3_000_000)
    authority, gateway = spawner.authority(), spawner.gateway()
    authority.allow(gateway.number, alice.name, for_s=0.6)
    gateway.channel(alice.name).answer("HEAD")
    worker = spawner.worker(alice)
    time.sleep(1.2)
    assert not has_ended(worker), spawner.log


def test_an_idle_worker_ends_by_itself(start_spawner: StartSpawner, alice: Account) -> None:
    spawner = start_spawner(idle_timeout_s=0.5)
    authority, gateway, observer = spawner.authority(), spawner.gateway(), spawner.observer()
    authority.allow(gateway.number, alice.name)
    channel = gateway.channel(alice.name)
    assert channel.answer("HEAD")
    until(lambda: not spawner.workers(), within_s=5)
    with pytest.raises(packets.PeerGone):
        channel.ask("HEAD")
    assert observer.counts()["ended_unexpectedly"] == 0
    assert gateway.channel(alice.name).answer("HEAD")


def test_a_worker_with_an_open_request_is_not_idle(start_spawner: StartSpawner, alice: Account, folder: Path) -> None:
    spawner = start_spawner(idle_timeout_s=0.5)
    authority, gateway = spawner.authority(), spawner.gateway()
    authority.allow(gateway.number, alice.name)
    channel = gateway.channel(alice.name)
    stream = begin_upload(channel)
    time.sleep(2.0)
    assert _finish(channel, stream, b"late").status == 201


@pytest.mark.parametrize("pause_s", [0.3, 0.5, 0.7])
def test_what_was_queued_when_a_worker_ends_is_answered(start_spawner: StartSpawner, alice: Account, pause_s: float) -> None:
    """On the channel that it knows, and on one that is still on its way to it."""
    spawner = start_spawner(idle_timeout_s=0.5)
    authority, gateway, other = spawner.authority(), spawner.gateway(1), spawner.gateway(2)
    for each in (gateway, other):
        authority.allow(each.number, alice.name)
    known = gateway.channel(alice.name)
    assert known.answer("HEAD")
    worker = spawner.worker(alice)
    time.sleep(0.1)
    worker.suspend()
    new = other.channel(alice.name)
    for channel in (known, new):
        for _ in range(5):
            channel.ask("HEAD")
    time.sleep(pause_s)
    worker.resume()
    for channel in (known, new):
        assert all(isinstance(channel.hear().message, Answer | NotServed) for _ in range(5))


def test_what_was_queued_when_a_worker_is_to_make_room_is_answered(start_spawner: StartSpawner, alice: Account, bob: Account) -> None:
    spawner = start_spawner(maximum=1)
    authority, gateway, other = spawner.authority(), spawner.gateway(1), spawner.gateway(2)
    for account in (alice, bob):
        authority.allow(gateway.number, account.name)
    authority.allow(other.number, alice.name)
    gateway.channel(alice.name)
    time.sleep(1.2)
    spawner.worker(alice).suspend()
    gateway.ask(bob.name)
    time.sleep(0.2)
    late = other.channel(alice.name)
    late.ask("HEAD")
    spawner.worker(alice).resume()
    assert isinstance(late.hear().message, Answer | NotServed)
    assert gateway.hear().channel


# --- the deadline of a channel


@pytest.fixture
def awake(spawner: Spawner, authority: Authority, alice: Account) -> None:
    """Her worker has been started already, for another gateway: the rows of these tests are too short for that on a busy machine."""
    authority.allow(9, alice.name)
    spawner.gateway(9).channel(alice.name)


@pytest.mark.usefixtures("awake")
def test_after_its_deadline_a_channel_takes_nothing_new(authority: Authority, gateway: Gateway, alice: Account) -> None:
    authority.allow(gateway.number, alice.name, for_s=0.6)
    channel = gateway.channel(alice.name)
    assert channel.answer("HEAD")
    time.sleep(0.8)
    assert _takes_nothing(channel)
    assert gateway.reach(alice.name).reason == "not_allowed"


@pytest.mark.usefixtures("awake")
def test_a_transfer_that_runs_at_the_deadline_finishes(authority: Authority, gateway: Gateway, alice: Account, folder: Path) -> None:
    authority.allow(gateway.number, alice.name, for_s=0.6)
    channel = gateway.channel(alice.name)
    stream = begin_upload(channel, b"running")
    time.sleep(1.0)
    channel.ask("HEAD")
    assert isinstance(channel.hear().message, NotServed)
    assert _finish(channel, stream, b"content").status == 201
    assert (folder / "running").read_bytes() == b"content"


@pytest.mark.usefixtures("awake")
def test_a_renewed_channel_goes_on(authority: Authority, gateway: Gateway, alice: Account) -> None:
    authority.allow(gateway.number, alice.name, for_s=0.6)
    channel = gateway.channel(alice.name)
    authority.allow(gateway.number, alice.name, for_s=60)
    time.sleep(0.9)
    assert isinstance(channel.answer("HEAD"), Answer)


@pytest.mark.usefixtures("awake")
def test_the_deadline_of_one_gateway_is_not_that_of_another(spawner: Spawner, authority: Authority, alice: Account) -> None:
    short, long = spawner.gateway(1), spawner.gateway(2)
    authority.allow(short.number, alice.name, for_s=0.6)
    authority.allow(long.number, alice.name)
    channels = short.channel(alice.name), long.channel(alice.name)
    time.sleep(0.9)
    assert _takes_nothing(channels[0])
    assert isinstance(channels[1].answer("HEAD"), Answer)


# --- nothing is left


def test_a_cancelled_upload_leaves_nothing(authority: Authority, gateway: Gateway, alice: Account, folder: Path) -> None:
    authority.allow(gateway.number, alice.name)
    channel = gateway.channel(alice.name)
    stream = begin_upload(channel)
    stream.sendall(b"x" * 100_000)
    stream.close()
    channel.cancel(999)
    assert isinstance(channel.answer("HEAD"), Answer)
    assert files(folder) == []


@pytest.mark.parametrize("end", ["the gateway dies", "revoked", "SIGKILL", "the master dies"])
def test_an_upload_that_is_cut_short_leaves_nothing_and_the_old_file_stands(
    start_spawner: StartSpawner, alice: Account, folder: Path, end: str
) -> None:
    (folder / "upload").write_bytes(b"old")
    os.chown(folder / "upload", alice.uid, alice.gid)
    spawner = start_spawner()
    authority, gateway = spawner.authority(), spawner.gateway()
    authority.allow(gateway.number, alice.name)
    channel = gateway.channel(alice.name)
    worker = spawner.worker(alice)
    stream = begin_upload(channel)
    stream.sendall(b"x" * 100_000)
    if end == "the gateway dies":
        stream.close()
        channel.end.close()
    elif end == "revoked":
        authority.revoke(alice.name)
    elif end == "SIGKILL":
        worker.send_signal(signal.SIGKILL)
    else:
        spawner.master_goes()
    if end != "the gateway dies":
        until(lambda: has_ended(worker))
    stream.close()
    time.sleep(0.2)
    assert files(folder) == ["upload"]
    assert (folder / "upload").read_bytes() == b"old"


# --- its journal


@pytest.mark.parametrize("taken", ["a folder of bob's", "a file", "an open folder"])
def test_a_worker_whose_folder_in_the_spool_is_not_its_own_serves_and_says_so(
    start_spawner: StartSpawner, alice: Account, bob: Account, spool: Path, taken: str
) -> None:
    """Everybody may make a folder in the spool, of any name."""
    folder = spool / alice.name
    folder.touch() if taken == "a file" else folder.mkdir()
    owner = alice if taken == "an open folder" else bob
    os.chown(folder, owner.uid, owner.gid)
    spawner = start_spawner(spool=str(spool))
    authority, gateway = spawner.authority(), spawner.gateway()
    authority.allow(gateway.number, alice.name)
    assert isinstance(gateway.channel(alice.name).answer("HEAD"), Answer)
    assert "no journal: " in spawner.log


@pytest.fixture
def spool(alice: Account) -> Iterator[Path]:
    spool = Path(tempfile.mkdtemp(prefix="teapot-spool-"))
    spool.chmod(0o1733)
    yield spool
    shutil.rmtree(spool)


# --- what it may not be


def test_a_worker_that_cannot_prove_its_cage_is_refused_with_its_reason(start_spawner: StartSpawner, alice: Account) -> None:
    spawner = start_spawner((StorageArea(name="all", path="/all", root="/"),))
    authority, gateway = spawner.authority(), spawner.gateway()
    authority.allow(gateway.number, alice.name)
    assert gateway.reach(alice.name).reason == "worker_failed"
    assert "CageError: / can be opened" in spawner.log
    until(lambda: not spawner.workers())


def test_nothing_is_imported_any_more_once_a_worker_serves(alice: Account, folder: Path) -> None:
    """Landlock is closed then: an import on first use would fail in the middle of a request."""
    program = Path(__file__).with_name("watched_worker.py")
    done = subprocess.run([sys.executable, "-I", program, alice.name], capture_output=True, text=True, timeout=30, env={})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "imported: []", done.stdout
