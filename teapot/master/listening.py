"""Listening sockets: opened by the master before anything else, one per gateway and address, kept over restarts and renewals."""

import os
import socket
from collections.abc import Sequence

BACKLOG = 1024
_FIRST_PASSED = 3  # systemd's LISTEN_FDS


class CannotListen(Exception):
    """With what to do about it."""


def parse(address: str) -> tuple[str, int]:
    """ "[::]:8443" or "127.0.0.1:8444" as host and port; the form was checked with the configuration."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def listen(address: str, *, shared: bool) -> socket.socket:
    """`shared`: several sockets of ours listen on the address, and the kernel spreads connections over them."""
    host, port = parse(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as failed:
        listener.close()
        raise CannotListen(f"cannot listen on {address}: {failed.strerror}; is another service there?") from failed
    return listener


def refuse_if_taken(address: str) -> None:
    """SO_REUSEPORT would let a second service of the same account share our port unnoticed."""
    listen(address, shared=False).close()


def passed() -> list[socket.socket]:
    """Sockets that systemd opened for us; all gateways accept from them."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    number = int(os.environ.get("LISTEN_FDS", "0"))
    return [socket.socket(fileno=descriptor) for descriptor in range(_FIRST_PASSED, _FIRST_PASSED + number)]


def descriptors(sockets: Sequence[socket.socket]) -> tuple[int, ...]:
    return tuple(one.fileno() for one in sockets)
