"""What a peer may not say ends that peer, and nobody else."""

import pytest

from teapot.channel import spawner_messages
from teapot.channel.spawner_messages import Form
from tests.service.accounts import Account
from tests.spawner.stage import Peer, Stage, allow

BREACHES = {
    "a gateway that allows": ("gateway", spawner_messages.pack(allow("root"))),
    "a gateway that revokes": ("gateway", spawner_messages.pack(Form(spawner_messages.REVOKE, name="root"))),
    "an authority that reaches": ("authority", spawner_messages.pack(Form(spawner_messages.REACH, 1, 0.0, "root"))),
    "an observer that reaches": ("observer", spawner_messages.pack(Form(spawner_messages.REACH, 1, 0.0, "root"))),
    "an unknown kind": ("gateway", b"\xff" + bytes(12)),
    "too short": ("gateway", b"\x04\0\0"),
    "too long": ("gateway", spawner_messages.pack(Form(spawner_messages.REACH, 1, 0.0, "x" * 2000))),
    "a name that is not UTF-8": ("gateway", spawner_messages.pack(Form(spawner_messages.REACH, 1)) + b"\xff\xfe"),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_of_the_form_ends_the_peer_and_nobody_else(spawner: Stage, alice: Account, breach: str) -> None:
    role, message = BREACHES[breach]
    authority, gateway, culprit = spawner.peer("authority", 1), spawner.peer("gateway", 1), spawner.peer(role, 9)
    culprit.end.send(message)
    assert _ended(culprit)
    authority.say(allow(alice.name))
    assert spawner.reach(gateway, alice.name).serves()


def _ended(peer: Peer) -> bool:
    try:
        peer.hear()
    except EOFError:
        return True
    return False
