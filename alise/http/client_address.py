"""Whose request it is: the peer, or whoever a trusted proxy says. Only for limits and the log, never for rights."""

import functools
import ipaddress
import re
from collections.abc import Sequence

from aiohttp import web

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_WITH_PORT = re.compile(r"\[([^]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+")
_IPV6_HOME = 64  # one person has at least so many addresses


class ClientAddresses:
    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._trusted = tuple(ipaddress.ip_network(one) for one in trusted_proxies)

    def of(self, request: web.BaseRequest) -> str:
        """In X-Forwarded-For the last is what our own proxy saw; further ones count as long as proxies of ours say them. Behind what is no
        address stands what anybody may have written."""
        address = _address(request.remote or "")
        if not self._trusted:
            return address
        said = [part.strip() for line in request.headers.getall("X-Forwarded-For", []) for part in line.split(",")]
        while said and self._is_trusted(address) and (before := _address(_without_port(said.pop()))):
            address = before
        return address

    def _is_trusted(self, address: str) -> bool:
        try:
            return any(ipaddress.ip_address(address) in network for network in self._trusted)
        except ValueError:
            return False


def _without_port(said: str) -> str:
    """Some proxies add it; IPv6 has brackets then."""
    found = _WITH_PORT.fullmatch(said)
    return found[1] or found[2] if found else said


@functools.lru_cache(4096)
def household(address: str) -> str:
    """What limits are counted by: an address of IPv4, a network of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((parsed, _IPV6_HOME), strict=False)) if parsed.version == 6 else address


@functools.lru_cache(4096)
def _address(text: str) -> str:
    """ "": none. IPv4 as IPv4, also where a dual-stack socket saw it."""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return ""
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)
