"""What a request is, from the one HTTP parser (aiohttp's): its path, its token, its body's form. Everything here is unverified."""

import secrets
from typing import NamedTuple, NewType

from aiohttp import web
from multidict import CIMultiDictProxy

from teapot.channel.worker_messages import REQUEST_FIELDS
from teapot.gateway.failure import Failure
from teapot.gateway.paths import Hosts, UrlPath, parse

UnverifiedToken = NewType("UnverifiedToken", str)  # "": none was sent

METHODS = ("OPTIONS", "HEAD", "GET", "PUT", "DELETE", "MKCOL", "MOVE", "COPY", "PROPFIND")
MAX_TOKEN_BYTES = 24 * 1024
MAX_HEADER_BYTES = 64 * 1024  # all fields together; one of them may have 32 KiB (http_server.py)
_ONCE = ("authorization", "content-length", "transfer-encoding", "expect", "host", "destination", "range", "depth", "overwrite")


class Received(NamedTuple):
    request_id: str
    method: str
    path: UrlPath
    target: UrlPath | None  # of MOVE and COPY
    fields: dict[str, bytes]
    length: int | None  # of the body; None: no body, or chunked
    chunked: bool
    expects_continue: bool


def new_request_id() -> str:
    return secrets.token_hex(8)


def receive(request: web.BaseRequest, request_id: str, hosts: Hosts) -> Received:
    """Failure for what is not to be served whoever asks."""
    headers = request.headers
    if sum(len(name) + len(value) + 4 for name, value in request.raw_headers) > MAX_HEADER_BYTES:
        raise Failure("header_too_large")
    _refuse_repeated(headers)
    if request.method not in METHODS:
        raise Failure("method_not_allowed")
    chunked = _chunked(headers)
    target = hosts.destination(headers["Destination"]) if "Destination" in headers and request.method in ("MOVE", "COPY") else None
    if request.method in ("MOVE", "COPY") and target is None:
        raise Failure("bad_destination", "no Destination")
    if request.method == "COPY" and ("Source" in headers or any(name.lower().startswith("transferheader") for name in headers)):
        raise Failure("not_implemented", "third-party copy")
    return Received(
        request_id,
        request.method,
        parse(request.message.path),
        target,
        {name.lower(): _bytes(value) for name, value in headers.items() if name.lower() in REQUEST_FIELDS},
        _length(headers),
        chunked,
        _expects_continue(headers),
    )


def bearer_token(request: web.BaseRequest) -> UnverifiedToken:
    value = request.headers.get("Authorization")
    if value is None:
        return UnverifiedToken("")
    scheme, _, token = value.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN_BYTES:
        raise Failure("token_malformed", f"Authorization with scheme {scheme[:20]!r}")
    return UnverifiedToken(token)


def _refuse_repeated(headers: CIMultiDictProxy[str]) -> None:
    for name in _ONCE:
        if len(headers.getall(name, ())) > 1:
            raise Failure("bad_request", f"{name} twice")


def _chunked(headers: CIMultiDictProxy[str]) -> bool:
    coding = headers.get("Transfer-Encoding")
    if coding is not None and coding.strip().lower() != "chunked":
        raise Failure("encoding_not_implemented", coding[:40])
    if headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise Failure("content_encoding_refused")
    return coding is not None


def _length(headers: CIMultiDictProxy[str]) -> int | None:
    value = headers.get("Content-Length")
    return int(value) if value is not None else None


def _expects_continue(headers: CIMultiDictProxy[str]) -> bool:
    value = headers.get("Expect")
    if value is not None and value.strip().lower() != "100-continue":
        raise Failure("expectation_failed", value[:40])
    return value is not None


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")
