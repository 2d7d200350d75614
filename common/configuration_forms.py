"""The forms of single values in a configuration: addresses, URLs, paths. Pure.

Each `why_not_...` answers why a value cannot be what it should be, in the words that the admin reads; None: it can.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from common.configuration_types import Complaint

_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*)(:[1-9][0-9]{0,4})?")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
WhyNot = Callable[[str], str | None]


def each(key: str, values: Iterable[str], why_not: WhyNot) -> Iterator[Complaint]:
    for number, value in enumerate(values):
        if wrong := why_not(value):
            yield Complaint(f"{key}[{number}]", wrong)


def among(issuers: list[str]) -> WhyNot:
    """Of the configured issuers; a slash too few at the end is the usual reason."""

    def why_not(url: str) -> str | None:
        alike = [one for one in issuers if one.rstrip("/") == url.rstrip("/")]
        if url in issuers:
            return None
        hint = f"did you mean {alike[0]}?" if alike else "add an [[issuer]] with this url, or take it out"
        return f"{url} is no configured issuer: {hint}"

    return why_not


def why_not_listening(address: str) -> str | None:
    match = _LISTEN.fullmatch(address)
    if not match or not 0 < int(match[3]) < 65536:
        return f"{address!r} must be an IP address and a port, as in [::]:8443 or 127.0.0.1:8443"
    try:
        ipaddress.IPv6Address(match[1]) if match[1] else ipaddress.IPv4Address(match[2])
    except ValueError:
        return f"{address!r} does not hold an IP address (IPv6 in brackets)"
    return None


def listening_host(address: str) -> IpAddress:
    """Of an address that why_not_listening found nothing against."""
    return ipaddress.ip_address(address.rpartition(":")[0].strip("[]"))


def why_not_file_name(value: str) -> str | None:
    return None if _FILE_NAME.fullmatch(value) else f"{value!r} must be the name of a file, without a folder"


def why_not_network(value: str) -> str | None:
    try:
        ipaddress.ip_network(value)
    except ValueError as wrong:
        return f"{value!r} must be a network, as in 10.1.0.0/16 or 2001:db8::/32: {wrong}"
    return None


def why_not_host(value: str) -> str | None:
    """With or without a port."""
    return None if _HOST.fullmatch(value) else f"{value!r} must be HOST or HOST:PORT, without scheme and path"


def why_not_public_url(value: str) -> str | None:
    url = _split(value, ("http", "https"))
    if not url or url.path not in ("", "/") or "?" in value or "#" in value:
        return f"{value!r} must be https://HOST or https://HOST:PORT, without path, query and user"
    return None


def why_not_issuer(value: str) -> str | None:
    """http only on loopback: what comes over it decides who is who."""
    url = _split(value, ("http", "https"))
    if not url or "?" in value or "#" in value:
        return f"{value!r} must be the https URL of the tokens' iss, without query, fragment and user"
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        return f"{value!r} must be an https URL: plain http is accepted on loopback addresses only"
    return None


def why_not_alise(value: str) -> str | None:
    """As why_not_issuer: a key goes there, and who is who comes back."""
    url = _split(value, ("http", "https"))
    if not url or "?" in value or "#" in value:
        return f"{_without_user(value)!r} must be https://HOST, https://HOST:PORT or below, without query, fragment and user"
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        return f"{value!r} must be an https URL: plain http is accepted on loopback addresses only"
    return why_not_page(value)  # people are sent there as well


def why_not_page(value: str) -> str | None:
    """Of a page that people are sent to: it goes into header fields."""
    fits = _split(value, ("http", "https")) and value.isascii() and not re.search(r"[<>\"\\^`{|}]", value)
    return None if fits else f"{_without_user(value)!r} must be the https URL of a page"


def why_not_secret_file(value: str) -> str | None:
    """An absolute path, or credential:NAME."""
    if value.startswith("credential:"):
        return None if re.fullmatch(r"credential:[A-Za-z0-9_.-]+", value) else f"{value!r} must be credential:NAME"
    wrong = why_not_absolute(value)
    return f"{wrong}, or credential:NAME" if wrong else None


def why_not_proxy(value: str) -> str | None:
    url = _split(value, ("http", "https"))
    return None if url and url.path in ("", "/") else f"{_without_user(value)!r} must be http://HOST:PORT; it can hold no password"


def why_not_absolute(path: str) -> str | None:
    fits = is_normal(path) and path != "/"
    return None if fits else f"{path!r} must be an absolute path, without '.', '..' and '//'"


def why_not_url_path(path: str) -> str | None:
    """A path as clients send it: %20 is a space."""
    if not is_normal(path) or "?" in path or "#" in path or _BROKEN_ESCAPE.search(path):
        return f"{path!r} must begin with /, and hold no '.', '..', '//', '?', '#' or broken escape"
    if any(segment in (b".", b"..") or b"/" in segment or b"\0" in segment for segment in segments(path)):
        return f"{path!r} holds an escape that stands for no name"
    return None


def segments(path: str) -> tuple[bytes, ...]:
    """Of a URL path, decoded once."""
    return tuple(unquote_to_bytes(piece) for piece in path.split("/") if piece)


def is_normal(path: str) -> bool:
    pieces = path.removesuffix("/").split("/")
    return path.startswith("/") and not any(piece in ("", ".", "..") for piece in pieces[1:]) and not _CONTROL.search(path)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(value: str, schemes: tuple[str, ...]) -> SplitResult | None:
    """None: no such URL, or one with a user in it."""
    try:
        url = urlsplit(value)
        fits = url.scheme in schemes and url.hostname and url.port != 0 and "@" not in url.netloc
    except ValueError:  # a port out of range, a bracket too few
        return None
    return url if fits and value.startswith(url.scheme) and not re.search(r"\s", value) and not _CONTROL.search(value) else None


def _without_user(value: str) -> str:
    return re.sub(r"//[^/]*@", "//…@", value)
