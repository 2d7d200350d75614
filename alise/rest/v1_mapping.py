"""API v1, who is who: the paths, parameters and answers that clients of ALISE 1 rely on. Errors are 4xx and 5xx, never 200.

    GET /api/v1/target/{site}/mapping/issuer/{issuer}/user/{subject}?apikey=KEY
    GET /api/v1/{site}/get_mappings/{subject}@{issuer}?apikey=KEY          (deprecated: also people's own accounts)

`issuer` is a SHA-1 of its URL, or the URL quoted twice; `subject` is quoted once, or twice as some clients do.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, unquote_plus

from aiohttp import web

from alise.http.access_log import ROUTINE
from alise.rest.answers import V1_VERSION, v1, v1_detail
from alise.rest.api import API, Api
from alise.rest.key_desk import KeyRefused
from alise.storage.lookup import AccountRow, LinkedIdentity

Mapping = dict[str, Any]


async def version(request: web.Request) -> web.Response:
    return v1(V1_VERSION)


async def supported_issuers(request: web.Request) -> web.Response:
    listed: dict[str, list[dict[str, str]]] = {"internal": [], "external": []}
    for each in request.app[API].providers:
        listed["internal" if each.internal else "external"].append({"name": each.name, "iss": each.issuer})
    return v1({"supported_issuers": listed})


async def mapping(request: web.Request) -> web.Response:
    return await _answer(request, request.match_info["issuer"], request.match_info["subject"], own=False)


async def old_mapping(request: web.Request) -> web.Response:
    """No form of an issuer holds an @ here: a URL has to be quoted twice."""
    subject, _, issuer = request.match_info["both"].rpartition("@")
    return await _answer(request, issuer, subject, own=True)


async def _answer(request: web.Request, issuer: str, subject: str, *, own: bool) -> web.Response:
    api, site = request.app[API], request.match_info["site"]
    try:
        await api.keys.require(request, site)
    except KeyRefused as refused:
        return _refusal(refused)
    for one in _subjects(subject):
        found = await _found(api, site, unquote(issuer), one, own=own)
        if found:
            request[ROUTINE] = True
            return v1(found)
    return not_mapped()


def not_mapped() -> web.Response:
    return v1_detail(401, "no such user", "not-mapped")


async def _found(api: Api, site: str, issuer: str, subject: str, *, own: bool) -> Mapping | None:
    found = await api.lookup.resolve_with_all(site, issuer, subject)
    if found:
        api.usage.note(found.link_id)
        url = api.lookup.issuer_named(issuer)
        told = [one for one in found.identities if api.v1_all_identities or (one.issuer, one.subject) == (url, subject)]
        return described(api, found.account, told)
    account = await api.lookup.own_account(site, issuer, subject) if own else None
    return described(api, account, await api.lookup.identities_of(account.id)) if account else None


def described(api: Api, account: AccountRow, identities: Sequence[LinkedIdentity]) -> Mapping:
    issuer = api.lookup.issuer_url(account.issuer_id)
    return {
        "internal": {
            "sub": account.subject or "",
            "iss": issuer,
            "username": account.username,
            "last_seen": int(account.seen_at or 0),
            "display_name": account.display_name,
        },
        "external": [
            {"sub": one.subject, "iss": one.issuer, "last_seen": int(one.seen_at or 0), "display_name": one.display_name}
            for one in identities
        ],
    }


def _subjects(subject: str) -> tuple[str, ...]:
    """As it stands, then as the first clients quoted it: once more."""
    again = unquote_plus(subject)
    return (subject,) if again == subject else (subject, again)


def _refusal(refused: KeyRefused) -> web.Response:
    if refused.code == "missing":
        missing = {"type": "missing", "loc": ["query", "apikey"], "msg": "Field required", "input": None}
        return v1({"detail": [missing]}, 422)
    if refused.code == "rate_limited":
        answer = v1_detail(429, "too many wrong keys", "rate-limited")
        answer.headers["Retry-After"] = str(int(refused.wait_s) + 1)
        return answer
    return v1_detail(401, "invalid apikey", "invalid")
