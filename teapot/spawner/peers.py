"""Whom the spawner talks to, and what they are told: a gateway and the observer as far as they read, an authority everything."""

import logging
import socket
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from teapot.channel import spawner_messages as messages
from teapot.channel.spawner_messages import Form

log = logging.getLogger(__name__)

MAX_UNSENT = 4096  # messages to an authority that does not read; with more it is of no use


@dataclass(frozen=True, slots=True)
class Peer:
    role: str
    number: int
    socket: socket.socket
    unsent: deque[Form] = field(default_factory=deque, compare=False)  # in order; only what tells of workers, and an authority


class Peers(dict[tuple[str, int], Peer]):
    """By role and number."""

    def add(self, peer: Peer) -> None:
        """One of the same number was started anew."""
        self[peer.role, peer.number] = peer

    def remove(self, peer: Peer) -> None:
        """Unless another has its number by now."""
        if self.get((peer.role, peer.number)) is peer:
            del self[peer.role, peer.number]

    def authorities(self) -> Iterator[Peer]:
        return (peer for peer in list(self.values()) if peer.role == "authority")

    def tell_authorities(self, form: Form) -> None:
        for authority in self.authorities():
            inform(authority, form)

    def send_unsent(self) -> bool:
        """True: something is left, because an authority does not read at present."""
        for peer in self.values():
            _send_unsent(peer)
        return any(peer.unsent for peer in self.values())


def inform(authority: Peer, form: Form) -> None:
    """What an authority must not miss: the kernel queues a few hundred messages, and there may be more workers."""
    authority.unsent.append(form)
    _send_unsent(authority)
    if len(authority.unsent) > MAX_UNSENT:
        log.error("authority %d does not read", authority.number)
        authority.unsent.clear()
        authority.socket.shutdown(socket.SHUT_RDWR)  # the loop meets the end of the stream, and parts with it


def answer(peer: Peer, form: Form, descriptor: int | None = None) -> None:
    try:
        messages.send(peer.socket, form, descriptor)
    except OSError as gone:
        log.warning("%s %d does not read: %s", peer.role, peer.number, gone)


def _send_unsent(peer: Peer) -> None:
    try:
        while peer.unsent:
            messages.send(peer.socket, peer.unsent[0])
            peer.unsent.popleft()
    except BlockingIOError:
        return
    except OSError as gone:
        log.debug("%s %d: %s", peer.role, peer.number, gone)
        peer.unsent.clear()
