"""One packet on a SOCK_SEQPACKET socket: a typed header, a body of at most 64 KiB, and descriptors.

    packet  =  length of the header (4 bytes, little endian) | header (MessagePack) | body

The receiver decides how many descriptors it wants; any other number, a truncated packet or an unknown header is a
BadPacket, after which the peer is not to be trusted and its socket is closed. An empty packet cannot be told from the end
of the stream and is therefore never sent.
"""

import array
import os
import socket
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

MAX_BODY_BYTES = 64 * 1024
MAX_HEADER_BYTES = 48 * 1024
MAX_PACKET_BYTES = 4 + MAX_HEADER_BYTES + MAX_BODY_BYTES
MAX_DESCRIPTORS = 8

_DESCRIPTOR_SIZE = array.array("i").itemsize
_CONTROL_BYTES = socket.CMSG_SPACE(MAX_DESCRIPTORS * _DESCRIPTOR_SIZE)
# Plain numbers: "|" and "&" on the socket module's own are slow.
_WAIT = int(socket.MSG_CMSG_CLOEXEC)
_NO_WAIT = int(socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT)
_TRUNCATED = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)
_encoder = msgspec.msgpack.Encoder()

M = TypeVar("M")


class ChannelError(Exception):
    """The socket is of no more use."""


class PeerGone(ChannelError):
    """The other end has closed, or does not read any more: what was to be sent was not delivered."""


class BadPacket(ChannelError):
    """The peer broke the form."""


class Packet(NamedTuple, Generic[M]):
    message: M
    body: bytes
    descriptors: tuple[int, ...]


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def pack(message: msgspec.Struct, body: bytes | memoryview = b"") -> bytes:
    header = _encoder.encode(message)
    if len(header) > MAX_HEADER_BYTES or len(body) > MAX_BODY_BYTES:
        raise ValueError(f"{type(message).__name__}: {len(header)} bytes of header, {len(body)} of body do not fit")
    return b"".join((len(header).to_bytes(4, "little"), header, body))


def send(channel: socket.socket, message: msgspec.Struct, body: bytes | memoryview = b"", descriptors: Sequence[int] = ()) -> None:
    """Send one packet. PeerGone: nothing was delivered. BlockingIOError: the queue is full, try again when writable."""
    send_packed(channel, pack(message, body), descriptors)


def send_packed(channel: socket.socket, packet: bytes, descriptors: Sequence[int] = ()) -> None:
    try:
        if descriptors:
            socket.send_fds(channel, [packet], list(descriptors), socket.MSG_NOSIGNAL)
        else:
            channel.send(packet, socket.MSG_NOSIGNAL)
    except (BrokenPipeError, ConnectionResetError, ConnectionRefusedError) as gone:
        raise PeerGone(str(gone)) from gone


class Receiver(Generic[M]):
    """Reads packets whose header is one of the given message types."""

    def __init__(self, kinds: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[M] = msgspec.msgpack.Decoder(kinds)

    def receive(self, channel: socket.socket, expected_descriptors: int = 0, *, wait: bool = True) -> Packet[M]:
        """The next packet. Descriptors beyond what its receiver expects (at most) are closed and make it a BadPacket.

        PeerGone at the end of the stream; BlockingIOError when nothing is there, and the socket or the caller does not wait.
        """
        try:
            data, ancillary, flags, _ = channel.recvmsg(MAX_PACKET_BYTES, _CONTROL_BYTES, _WAIT if wait else _NO_WAIT)
        except ConnectionResetError as gone:
            raise PeerGone(str(gone)) from gone
        descriptors = _descriptors(ancillary) if ancillary else ()
        try:
            return self._read(data, flags, descriptors, expected_descriptors)
        except ChannelError:
            for descriptor in descriptors:
                os.close(descriptor)
            raise

    def _read(self, data: bytes, flags: int, descriptors: tuple[int, ...], expected: int) -> Packet[M]:
        if not data:
            raise PeerGone("end of stream")
        if flags & _TRUNCATED:
            raise BadPacket("a truncated packet")
        if len(descriptors) > expected:
            raise BadPacket(f"{len(descriptors)} unwanted descriptors")
        end = 4 + int.from_bytes(data[:4], "little")
        if end > len(data) or end > 4 + MAX_HEADER_BYTES:
            raise BadPacket(f"a header of {end - 4} bytes in a packet of {len(data)}")
        try:
            message = self._decoder.decode(data[4:end])
        except msgspec.MsgspecError as wrong:
            raise BadPacket(f"an unknown header: {wrong}") from wrong
        return Packet(message, data[end:], descriptors)


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, ...]:
    received = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received.frombytes(data[: len(data) - len(data) % _DESCRIPTOR_SIZE])
    return tuple(received)
