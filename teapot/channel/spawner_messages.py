"""The closed table of what may be asked of the spawner, and by whom. Fixed forms, read with struct, nothing to parse.

kind (1 byte) | number (4 bytes) | until (8 bytes, double, CLOCK_MONOTONIC) | name (the rest, at most 255 bytes)

from       kind      number            until      name        meaning
authority  ALLOW     gateway           deadline   account     this gateway may reach the account until then
authority  REVOKE    0                 0          account     end its worker now, running transfers too; drop its rows
authority  RETIRE    0                 0          account     end its worker when its open requests are done
gateway    REACH     the gateway's ask 0          account     a channel to that account's worker, please
observer   LIST      the observer's ask 0         -           what have you counted?
to gateway REACHED   ask               0          -           carries the channel
to gateway REFUSED   ask               retry (s)  reason      one of REASONS
to authority STARTED worker's pid      0          account, NUL, fingerprint of its ids (see fingerprint)
to authority ENDED   worker's pid      0          account     that worker is gone: no process, nothing open
to observer LISTED   ask               0          counters, as "name=value" separated by blanks
"""

import hashlib
import socket
import struct
from collections.abc import Iterable
from typing import NamedTuple

ALLOW, REVOKE, RETIRE, REACH, LIST = 1, 2, 3, 4, 5
REACHED, REFUSED, STARTED, LISTED, ENDED = 16, 17, 18, 19, 20

# Why a gateway gets no channel: each is a code of channel/problems.py.
REASONS = (
    "not_allowed",  # no row of the authority says that this gateway may
    "account_refused",  # the account is unknown, or against the site's policy
    "directory_unavailable",  # the account directory did not answer in time
    "too_many_workers",
    "worker_failed",  # it could not be started, or could not prove its cage
    "account_stuck",  # its worker hangs in the kernel
)

MAX_MESSAGE_BYTES = 1024
_FORM = struct.Struct("<BId")


class Form(NamedTuple):
    kind: int
    number: int = 0
    until: float = 0.0
    name: str = ""


class BadForm(Exception):
    pass


def pack(form: Form) -> bytes:
    return _FORM.pack(form.kind, form.number, form.until) + form.name.encode()


def unpack(data: bytes, allowed: Iterable[int]) -> Form:
    if not _FORM.size <= len(data) <= MAX_MESSAGE_BYTES:
        raise BadForm(f"{len(data)} bytes")
    kind, number, until = _FORM.unpack_from(data)
    if kind not in allowed:
        raise BadForm(f"kind {kind} from a peer that may not send it")
    try:
        return Form(kind, number, until, data[_FORM.size :].decode())
    except UnicodeDecodeError as wrong:
        raise BadForm("a name that is not UTF-8") from wrong


def send(peer: socket.socket, form: Form, descriptor: int | None = None) -> None:
    """Never waits: BlockingIOError when the peer does not read."""
    if descriptor is None:
        peer.send(pack(form), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    else:
        socket.send_fds(peer, [pack(form)], [descriptor], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def fingerprint(uid: int, gid: int, groups: Iterable[int]) -> str:
    """Names what an account's identity was when its worker started, so that a change of groups is seen."""
    text = f"{uid}:{gid}:" + ",".join(map(str, sorted(set(groups))))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
