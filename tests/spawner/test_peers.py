"""What is not in the table of requests, or not said by the one who may say it, ends the peer that said it, and nobody else."""

import os
import socket
import struct
from pathlib import Path

import pytest

from teapot.channel import spawner_messages as messages
from teapot.channel.spawner_messages import Form
from tests.service.accounts import Account
from tests.spawner.process import Authority, Gateway, Observer, Spawner, until

FORM = struct.Struct("<BId")
ALLOWED = {"authority": {messages.ALLOW, messages.REVOKE, messages.RETIRE}, "gateway": {messages.REACH}, "observer": {messages.LIST}}
KINDS = {*range(8), *range(16, 21), 255}

MALFORMED = {
    "too short": b"\x04",
    "one byte short": FORM.pack(messages.REACH, 1, 0.0)[:-1],
    "too long": FORM.pack(messages.REACH, 1, 0.0) + b"a" * 1024,
    "name not UTF-8": FORM.pack(messages.REACH, 1, 0.0) + b"\xff\xfe",
}


def _still_serves(spawner: Spawner, alice: Account) -> None:
    authority, gateway = spawner.authority(7), spawner.gateway(7)
    authority.allow(gateway.number, alice.name)
    assert gateway.channel(alice.name).answer("HEAD")


@pytest.mark.parametrize(("role", "kind"), [(role, kind) for role, allowed in ALLOWED.items() for kind in sorted(KINDS - allowed)])
def test_a_peer_that_asks_what_it_may_not_is_ended(spawner: Spawner, role: str, kind: int) -> None:
    introduce = {"authority": spawner.authority, "gateway": spawner.gateway, "observer": spawner.observer}
    peer: Authority | Gateway | Observer = introduce[role]()
    messages.send(peer.end, Form(kind, 1, 0.0, "alice"))
    assert peer.is_ended
    assert spawner.process.poll() is None


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_peer_that_breaks_the_form_is_ended_and_others_are_served(
    spawner: Spawner, gateway: Gateway, alice: Account, data: bytes
) -> None:
    gateway.end.send(data)
    assert gateway.is_ended
    _still_serves(spawner, alice)


def test_an_ended_authority_has_no_rows_any_more(spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account) -> None:
    authority.allow(gateway.number, alice.name)
    authority.end.send(b"\x01")
    assert authority.is_ended
    assert gateway.reach(alice.name).reason == "not_allowed"


def test_descriptors_that_a_peer_sends_along_are_not_kept(spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account) -> None:
    assert gateway.reach(alice.name).reason == "not_allowed"  # both are introduced by now
    before = len(os.listdir(f"/proc/{spawner.process.pid}/fd"))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for number in range(10):
            socket.send_fds(gateway.end, [messages.pack(Form(messages.REACH, number, 0.0, alice.name))], [theirs.fileno()])
            assert gateway.hear().reason == "not_allowed"
    assert len(os.listdir(f"/proc/{spawner.process.pid}/fd")) == before


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "alice\0", "alice\nERROR forged", "0", "-", "a" * 255])
def test_what_cannot_be_an_account_is_refused_though_it_is_allowed(
    spawner: Spawner, authority: Authority, gateway: Gateway, name: str
) -> None:
    authority.allow(gateway.number, name)
    assert gateway.reach(name).reason == "account_refused"
    assert "\nERROR forged" not in spawner.log
    until(lambda: not spawner.workers())


def test_the_spawner_holds_no_file(spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account) -> None:
    authority.allow(gateway.number, alice.name)
    gateway.channel(alice.name)
    descriptors = Path(f"/proc/{spawner.process.pid}/fd")
    held = {os.readlink(each).partition(":")[0] for each in descriptors.iterdir() if int(each.name) > 2}
    assert held <= {"socket", "anon_inode"}
