"""What the spawner tells a worker, and what a worker may say to the spawner. Fixed forms, read with struct, nothing to parse.

    kind (1 byte) | number (4 bytes) | until (8 bytes, double, CLOCK_MONOTONIC) | text (the rest, at most 500 bytes)

    to the worker   kind           number           until     text    meaning
                    CHANNEL        gateway          deadline  -       carries the worker's end of a channel to that gateway
                    UNTIL          gateway          deadline  -       every channel of that gateway: a new deadline, later or earlier
                    CLOSE          gateway          0         -       cut every channel of that gateway, its transfers too
                    RETIRE         0                0         -       finish what is open, take nothing new, leave
                    ABORT          0                0         -       end now: cut transfers, leave nothing behind
                    LEAVE_IF_IDLE  0                0         -       leave; or BUSY, or a later IDLE_SINCE than the last
    to the spawner  IDENTITY       uid              0         print   of its ids, and its name; by the spawner's code, before the cage
                    READY          Landlock's ABI   0         facts   the cage is proven; ABI 0: the kernel has no Landlock
                    FAILED         0                0         reason  it dies of this
                    IDLE_SINCE     0                since     -       no request is open since then
                    BUSY           requests open    0         -       at most about once a second, and only on a change
                    LEAVING        0                0         reason  it takes nothing any more: what is sent now fails with EPIPE

A worker in the state BUSY, or that was sent anything since its last IDLE_SINCE, is not idle for sure. After LEAVING a new worker may be
started for the same account at once: the old one only finishes. Descriptors travel with CHANNEL only, exactly one.
EOF from the spawner: the worker takes nothing new, has 5 s to finish, then aborts.
"""

import array
import os
import socket
import struct
from typing import NamedTuple

CHANNEL, UNTIL, CLOSE, RETIRE, ABORT, LEAVE_IF_IDLE = 1, 2, 3, 4, 5, 6
READY, FAILED, IDLE_SINCE, BUSY, LEAVING, IDENTITY = 16, 17, 18, 19, 20, 21

TO_WORKER = frozenset((CHANNEL, UNTIL, CLOSE, RETIRE, ABORT, LEAVE_IF_IDLE))
TO_SPAWNER = frozenset((IDENTITY, READY, FAILED, IDLE_SINCE, BUSY, LEAVING))

MAX_TEXT_BYTES = 500
_FORM = struct.Struct("<BId")
_MAX_BYTES = _FORM.size + MAX_TEXT_BYTES
_INT = array.array("i").itemsize


class Control(NamedTuple):
    kind: int
    number: int = 0
    until: float = 0.0
    text: str = ""


class BadControl(Exception):
    """The peer broke the form: it is not to be heard any more."""


def pack(control: Control) -> bytes:
    text = control.text.encode("utf-8", "replace")[:MAX_TEXT_BYTES]
    return _FORM.pack(control.kind, control.number, control.until) + text


def unpack(data: bytes, allowed: frozenset[int]) -> Control:
    if not _FORM.size <= len(data) <= _MAX_BYTES:
        raise BadControl(f"{len(data)} bytes")
    kind, number, until = _FORM.unpack_from(data)
    if kind not in allowed:
        raise BadControl(f"kind {kind} from a peer that may not send it")
    return Control(kind, number, until, _printable(data[_FORM.size :].decode("utf-8", "replace")))


def _printable(text: str) -> str:
    """It goes into the log: one message, one line."""
    return "".join(character if character.isprintable() else "?" for character in text)


def send(peer: socket.socket, control: Control, descriptor: int | None = None) -> None:
    """Never waits: BlockingIOError when the peer does not read, another OSError when it is gone."""
    if descriptor is None:
        peer.send(pack(control), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    else:
        socket.send_fds(peer, [pack(control)], [descriptor], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def receive(peer: socket.socket, allowed: frozenset[int]) -> tuple[Control, int | None] | None:
    """The next message, and its descriptor if it is a CHANNEL; None at the end of the stream. BlockingIOError as recvmsg."""
    data, ancillary, flags, _ = peer.recvmsg(_MAX_BYTES + 1, socket.CMSG_SPACE(4 * _INT), socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(payload[: len(payload) - len(payload) % _INT])
    if not data and not descriptors:
        return None
    try:
        control = unpack(data, allowed)
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or len(descriptors) != (control.kind == CHANNEL):
            raise BadControl(f"kind {control.kind} with {len(descriptors)} descriptors")
    except BadControl:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return control, descriptors[0] if descriptors else None
