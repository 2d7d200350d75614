"""The sockets that `alise serve` listens on. [::] takes IPv4 as well, unless 0.0.0.0 is named beside it."""

import socket
from collections.abc import Sequence


def listeners(addresses: Sequence[str]) -> list[socket.socket]:
    """Bound, one for each. OSError."""
    made: list[socket.socket] = []
    try:
        for address in addresses:
            host, _, port = address.rpartition(":")
            made.append(_bound(host.strip("[]"), int(port), both=f"0.0.0.0:{port}" not in addresses))
    except OSError:
        for one in made:
            one.close()
        raise
    return made


def _bound(host: str, port: int, *, both: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::" or not both))
        made.bind((host, port))
    except OSError as failed:
        made.close()
        raise OSError(failed.errno, f"{host} port {port}: {failed.strerror}") from failed
    return made
