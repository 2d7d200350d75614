"""API v1, for people with an access token: making an API key, asking for one's own mapping; and whether a key counts.

    GET /api/v1/target/{site}/get_apikey               Authorization: Bearer TOKEN, of an administrator
    GET /api/v1/target/{site}/validate_apikey/{key}
    GET /api/v1/authenticated                          Authorization: Bearer TOKEN
    GET /api/v1/{site}/all_my_mappings_raw             Authorization: Bearer TOKEN
"""

from aiohttp import web

from alise.rest.answers import v1, v1_detail
from alise.rest.api import API
from alise.rest.key_desk import KeyRefused
from alise.rest.v1_mapping import described, not_mapped
from alise.storage.api_keys import NoSuchSite, TooManyKeys
from common.token_verification import BadToken, VerifiedClaims


async def get_apikey(request: web.Request) -> web.Response:
    person = await _person(request)
    if isinstance(person, web.Response):
        return person
    api, site = request.app[API], request.match_info["site"]
    if not api.tokens.is_administrator(person, site):
        return v1({"detail": "Not authorised"}, 401)
    owner = f"{person.subject} at {person.issuer}"[:255]
    try:
        made = await api.api_keys.create(site, owner, f"api: {owner}")
    except NoSuchSite:
        return v1({"detail": "Not Found"}, 404)
    except TooManyKeys:
        return v1({"detail": "You have too many keys in force: revoke some (alise keys revoke)"}, 409)
    return v1({"apikey": made.key})


async def validate_apikey(request: web.Request) -> web.Response:
    api = request.app[API]
    try:
        known = await api.keys.find(request, request.match_info["key"])
    except KeyRefused as refused:
        answer = v1_detail(429, "too many wrong keys", "rate-limited")
        answer.headers["Retry-After"] = str(int(refused.wait_s) + 1)
        return answer
    return v1({"apikey": known is not None and known.site_id == api.lookup.catalogue.sites.get(request.match_info["site"])})


async def authenticated(request: web.Request) -> web.Response:
    if "Authorization" not in request.headers:
        return v1({"detail": "Not authenticated"}, 403)
    person = await _person(request)
    return person if isinstance(person, web.Response) else v1("This worked: there was a valid login")


async def my_mappings(request: web.Request) -> web.Response:
    """Of the account that the token's own identity is, or is linked to."""
    person = await _person(request)
    if isinstance(person, web.Response):
        return person
    api, site = request.app[API], request.match_info["site"]
    account = await api.lookup.own_account(site, person.issuer, person.subject)
    if account is not None:
        return v1(described(api, account, await api.lookup.identities_of(account.id)))
    found = await api.lookup.resolve_with_all(site, person.issuer, person.subject)
    return v1(described(api, found.account, found.identities)) if found else not_mapped()


async def _person(request: web.Request) -> VerifiedClaims | web.Response:
    try:
        person = await request.app[API].tokens.person(request)
    except BadToken as bad:
        if bad.code == "issuer_unavailable":
            return v1({"error": "Unavailable", "error_description": "The provider of this token cannot be reached"}, 503)
        return _unauthenticated("User identity could not be determined")
    return person or _unauthenticated("No authorization header")


def _unauthenticated(why: str) -> web.Response:
    answer = v1({"error": "Unauthenticated", "error_description": why}, 401)
    answer.headers["WWW-Authenticate"] = "Bearer"
    return answer
