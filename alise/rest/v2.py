"""API v2, for services with a key: who is who, one or many at once, and what has changed.

    POST /api/v2/sites/{site}/resolve   {"iss": …, "sub": …} or {"identities": [{"iss": …, "sub": …}, …]}
    GET  /api/v2/sites/{site}/changes?since=SEQ&wait_s=25
"""

import datetime
from typing import Any

import msgspec
from aiohttp import web

from alise.http.access_log import ROUTINE
from alise.rest.answers import problem, v2
from alise.rest.api import API, Api
from alise.rest.key_desk import KeyRefused
from alise.storage.lookup import Found

MOST_IDENTITIES = 1000
_LONGEST_WAIT_S = 30.0


class Asked(msgspec.Struct, frozen=True):
    iss: str
    sub: str


class AskedMany(msgspec.Struct, frozen=True):
    identities: list[Asked]


async def resolve(request: web.Request) -> web.Response:
    api, site = request.app[API], request.match_info["site"]
    if refusal := await _refused(request, site):
        return refusal
    asked = await _asked(request)
    if isinstance(asked, web.Response):
        return asked
    if isinstance(asked, AskedMany):
        request[ROUTINE] = True
        return v2([await _entry(api, site, one) for one in asked.identities])
    entry = await _entry(api, site, asked)
    if "username" in entry:
        request[ROUTINE] = True
        return v2(entry)
    status, detail = _REFUSALS[entry["code"]]
    return problem(status, detail=detail, **entry)


async def changes(request: web.Request) -> web.Response:
    api, site = request.app[API], request.match_info["site"]
    if refusal := await _refused(request, site):
        return refusal
    try:
        since = _number(request.query["since"]) if "since" in request.query else None
        wait_s = min(float(_number(request.query.get("wait_s", "0"))), _LONGEST_WAIT_S)
    except ValueError:
        return problem(400, "bad_request", "since and wait_s must be numbers, 0 or more")
    told = await api.feed.since(site, since, wait_s)
    if refusal := await _refused(request, site):  # the key may have been revoked while it waited
        return refusal
    listed = [{"seq": one.seq, "operation": one.operation, "iss": one.issuer, "sub": one.subject} for one in told.changes]
    return v2({"changes": listed, "next": told.next, "reset": told.reset})


async def _entry(api: Api, site: str, asked: Asked) -> dict[str, Any]:
    found = await api.lookup.resolve(site, asked.iss, asked.sub)
    if found is None:
        return {"code": "not_linked", "link_url": api.link_url(site)}
    if not found.counts:
        return {"code": "account_suspended" if found.account_status != "active" else "link_suspended"}
    api.usage.note(found.link_id)
    return _linked(found)


def _linked(found: Found) -> dict[str, Any]:
    at = datetime.datetime.fromtimestamp(found.linked_at, datetime.UTC)
    return {"username": found.username, "linked_at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "assurance": msgspec.Raw(found.assurance.encode())}


async def _asked(request: web.Request) -> Asked | AskedMany | web.Response:
    try:
        asked: Asked | AskedMany = _read(await request.read())
    except web.HTTPRequestEntityTooLarge:
        return problem(413, "bad_request", f"ask for at most {MOST_IDENTITIES} identities, in less than a megabyte")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return problem(400, "bad_request", 'the body must be {"iss": TEXT, "sub": TEXT} or {"identities": [such, …]}')
    if isinstance(asked, AskedMany) and len(asked.identities) > MOST_IDENTITIES:
        return problem(413, "bad_request", f"ask for at most {MOST_IDENTITIES} identities at once")
    return asked


def _read(body: bytes) -> Asked | AskedMany:
    try:
        return msgspec.json.decode(body, type=Asked)
    except msgspec.ValidationError:
        return msgspec.json.decode(body, type=AskedMany)


async def _refused(request: web.Request, site: str) -> web.Response | None:
    try:
        await request.app[API].keys.require(request, site)
    except KeyRefused as refused:
        if refused.code == "rate_limited":
            wait = {"Retry-After": str(int(refused.wait_s) + 1)}
            return problem(429, "rate_limited", "too many wrong keys from this address: wait", wait)
        if refused.code == "wrong_site":
            return problem(403, "wrong_site", "the key is of another site, or there is no such site")
        return problem(401, "invalid_key", "send a key that counts: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"})
    return None


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise ValueError(text)
    return int(text)


_REFUSALS = {
    "not_linked": (404, "nobody has linked this identity here"),
    "link_suspended": (403, "the site has taken this link out of use"),
    "account_suspended": (403, "the site has taken this account out of use"),
}
