"""The forms of REST answers: JSON for services, problems (RFC 9457) with a stable code, and the shapes of v1."""

from typing import Any

import msgspec
from aiohttp import web

V1_VERSION = "1.1.5"  # the API that v1 is

_V1_HEADERS = {"x-alise-version": V1_VERSION, "Cache-Control": "private, no-cache", "Vary": "Authorization, X-API-Key"}
_PRIVATE = {"Cache-Control": "no-store"}


def v1(document: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), status=status, content_type="application/json", headers=_V1_HEADERS)


def v1_detail(status: int, message: str, kind: str) -> web.Response:
    return v1({"detail": [{"msg": message, "type": kind}]}, status)


def v2(document: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), content_type="application/json", headers=_PRIVATE)


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> web.Response:
    body = {"type": f"urn:alise:problem:{code}", "title": _TITLES.get(code, "Refused"), "status": status, "code": code, "detail": detail}
    return web.Response(
        body=msgspec.json.encode(body | more),
        status=status,
        content_type="application/problem+json",
        headers=_PRIVATE | (headers or {}),
    )


_TITLES = {
    "invalid_key": "The API key does not count",
    "wrong_site": "The API key is of another site",
    "not_linked": "Not linked",
    "link_suspended": "Suspended",
    "account_suspended": "Suspended",
    "bad_request": "Not understood",
    "rate_limited": "Too many failures",
    "unavailable": "Not available at present",
    "not_found": "Nothing here",
    "failed": "Failed",
}
