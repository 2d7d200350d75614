"""What a request is, from the one HTTP parser (aiohttp's): its path, its token, its body's form. Everything here is unverified."""

from collections.abc import Iterable
from typing import NamedTuple, NewType

from teapot.channel.worker_messages import ALLOWED, LISTING_ORDERS, REQUEST_FIELDS
from teapot.gateway.failure import Failure
from teapot.gateway.http_server import HttpRequest
from teapot.gateway.paths import Hosts, UrlPath

UnverifiedToken = NewType("UnverifiedToken", str)  # "": none was sent

METHODS = tuple(method.decode() for method in ALLOWED)
MAX_TOKEN_BYTES = 24 * 1024
MAX_HEADER_BYTES = 64 * 1024  # all fields together; one of them may have 32 KiB (http_server.py)
_MACAROON_REQUEST = b"application/macaroon-request"
# Fields that are lists: several lines of them are one list (RFC 9110, section 5.3). Of all others that we read there is one line at most.
_LISTS = frozenset((b"if-match", b"if-none-match", b"want-digest", b"want-repr-digest", b"digest", b"repr-digest", b"content-digest"))
_FOR_WORKERS = frozenset(name.encode() for name in REQUEST_FIELDS)
_READ = _FOR_WORKERS | {
    b"authorization",
    b"content-encoding",
    b"content-length",
    b"destination",
    b"expect",
    b"host",
    b"source",
    b"transfer-encoding",
}

_of_the_server = UrlPath((), True)  # "OPTIONS *" is about no resource (RFC 9110, section 9.3.7)
_Fields = dict[bytes, bytes]  # lower-case name: value


class Received(NamedTuple):
    request_id: str
    method: str
    path: UrlPath
    target: UrlPath | None  # of MOVE and COPY
    authorization: bytes | None
    fields: dict[str, bytes]  # for the worker
    length: int | None  # of the body; None: no body, or chunked
    chunked: bool
    expects_continue: bool
    listing_order: str = ""  # of LISTING_ORDERS; the one thing that a query may ask for


def receive(request: HttpRequest, request_id: str, hosts: Hosts) -> Received:
    """Failure for what is not to be served whoever asks."""
    method, message = request.method, request.parsed
    fields = _fields(message.raw_headers)
    if method not in METHODS:
        raise Failure("macaroons_not_offered" if _asks_for_a_macaroon(method, fields) else "method_not_allowed")
    if b"transfer-encoding" in fields and request.version < (1, 1):
        raise Failure("bad_request", "Transfer-Encoding by HTTP/1.0")  # RFC 9112, section 6.1
    length = fields.get(b"content-length")
    return Received(
        request_id,
        method,
        _of_the_server if method == "OPTIONS" and message.path == "*" else hosts.target(message.path),
        _target(method, fields, message.raw_headers, hosts),
        fields.get(b"authorization"),
        {name.decode("ascii"): fields[name] for name in fields.keys() & _FOR_WORKERS},
        int(length) if length is not None else None,  # the parser has seen that it is a number
        _chunked(fields),
        _expects_continue(fields),
        _listing_order(message.path) if "?" in message.path else "",
    )


def bearer_token(received: Received) -> UnverifiedToken:
    if received.authorization is None:
        return UnverifiedToken("")
    scheme, _, token = received.authorization.partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not token or len(token) > MAX_TOKEN_BYTES or not token.isascii():
        what = "no bearer token" if scheme.lower() != b"bearer" else f"{len(token)} bytes"  # somebody may send a token without a scheme
        raise Failure("token_malformed", f"Authorization: {what}")
    return UnverifiedToken(token.decode("ascii"))


def _fields(raw: Iterable[tuple[bytes, bytes]]) -> _Fields:
    """Those that anybody here reads."""
    fields: _Fields = {}
    size = 0
    for name, value in raw:
        size += len(name) + len(value) + 4
        name = name.lower()
        if name not in fields:
            fields[name] = value
        elif name in _LISTS:
            fields[name] += b", " + value
        elif name in _READ and not (name == b"authorization" and value == fields[name]):  # davfs2 sends it twice with LOCK
            raise Failure("bad_request", f"{name.decode('ascii')} twice")
    if size > MAX_HEADER_BYTES:
        raise Failure("header_too_large")
    return fields


def _asks_for_a_macaroon(method: str, fields: _Fields) -> bool:
    return method == "POST" and fields.get(b"content-type", b"").partition(b";")[0].strip().lower() == _MACAROON_REQUEST


def _target(method: str, fields: _Fields, raw: Iterable[tuple[bytes, bytes]], hosts: Hosts) -> UrlPath | None:
    if method not in ("MOVE", "COPY"):
        return None
    if method == "COPY" and (b"source" in fields or any(name.lower().startswith(b"transferheader") for name, _ in raw)):
        raise Failure("not_implemented", "third-party copy")
    if b"destination" not in fields:
        raise Failure("bad_destination", "no Destination")
    try:
        return hosts.destination(fields[b"destination"].decode())
    except UnicodeDecodeError as wrong:
        raise Failure("bad_destination", "neither escaped nor UTF-8") from wrong


def _chunked(fields: _Fields) -> bool:
    coding = fields.get(b"transfer-encoding")
    if coding is not None and coding.strip().lower() != b"chunked":
        raise Failure("encoding_not_implemented", f"{len(coding)} bytes")
    if fields.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise Failure("content_encoding_refused")
    return coding is not None


def _listing_order(target: str) -> str:
    """Queries that mean nothing here are overlooked, as they always were."""
    asked = target.partition("?")[2].partition("&")[0].removeprefix("sort=")
    return asked if asked in LISTING_ORDERS else ""


def _expects_continue(fields: _Fields) -> bool:
    value = fields.get(b"expect")
    if value is not None and value.strip().lower() != b"100-continue":
        raise Failure("expectation_failed", f"{len(value)} bytes")
    return value is not None
