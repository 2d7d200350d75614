"""The one place where a URL's path becomes segments: taken raw from the request line, split, then decoded once. Pure."""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from teapot.gateway.failure import Failure

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PLAIN = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")  # nothing in it needs a second look
_AUTHORITY = re.compile(r"(https?|davs?)://([^/?#]*)", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "dav": 80, "https": 443, "davs": 443}


class UrlPath(NamedTuple):
    segments: tuple[bytes, ...]  # decoded; never "", ".", "..", none with NUL or "/"
    collection: bool  # it ended in "/"


def parse(raw: str) -> UrlPath:
    """A request target in origin form, or the path part of a URL; a query is dropped. bad_path otherwise."""
    path = raw.partition("?")[0]
    if _PLAIN.fullmatch(path):
        return UrlPath(tuple(path.encode("ascii").split(b"/")[1:]), False)
    if not path.startswith("/") or _BROKEN_ESCAPE.search(path):
        raise Failure("bad_path", "not an absolute path, or a broken escape")
    segments = tuple(_decoded(piece) for piece in path.split("/") if piece)
    return UrlPath(segments, path.endswith("/"))


def _decoded(piece: str) -> bytes:
    segment = unquote_to_bytes(piece)
    if segment in (b".", b"..") or b"\0" in segment or b"/" in segment:
        raise Failure("bad_path", "a segment that is no name")
    return segment


class Hosts:
    """Our own names, with and without the default port: what a Destination may point to."""

    def __init__(self, public_url: str, aliases: tuple[str, ...]) -> None:
        scheme, _, rest = public_url.partition("://")
        name, port = _split_port(rest.rstrip("/"), _DEFAULT_PORTS[scheme])
        self._known = {(host, number) for alias in (name, *aliases) for host, number in [_split_port(alias.lower(), port)]}
        self._known |= {(host.lower(), port) for host in (name, *aliases)}

    def target(self, raw: str) -> UrlPath:
        """A request target: in origin form, or in the absolute form that a server must take as well (RFC 9112, section 3.2.2)."""
        match = _AUTHORITY.match(raw)
        if not match:
            return parse(raw)
        if not self._is_ours(match):
            raise Failure("misdirected")
        path = raw[match.end() :]
        return parse(path if path.startswith("/") else "/" + path)

    def destination(self, value: str) -> UrlPath:
        """A Destination header: an absolute URL of ours, or an absolute path. Split before it is decoded."""
        match = _AUTHORITY.match(value)
        if not match:
            if not value.startswith("/") or value.startswith("//"):
                raise Failure("bad_destination")
            return self._path(value)
        if not self._is_ours(match):
            raise Failure("foreign_destination")
        return self._path(value[match.end() :] or "/")

    def _is_ours(self, url: re.Match[str]) -> bool:
        return _split_port(url[2].lower(), _DEFAULT_PORTS[url[1].lower()]) in self._known

    def _path(self, value: str) -> UrlPath:
        if "#" in value or "?" in value:
            raise Failure("bad_destination", "a query or fragment")
        try:
            return parse(value)
        except Failure as wrong:
            raise Failure("bad_destination", wrong.detail) from wrong


def _split_port(authority: str, default: int) -> tuple[str, int]:
    host, colon, port = authority.rpartition(":")
    if colon and port.isdecimal() and len(port) <= 5:
        return host, int(port)
    return authority, default
