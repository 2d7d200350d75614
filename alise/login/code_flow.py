"""The authorization code flow as one client lives it: `begin` makes the request, `complete` turns the answer into a proven identity.

PKCE, nonce and state always (RFC 9700); the answer's issuer where the provider names itself (RFC 9207). Whoever keeps `Begun` binds it to
one browser session and one provider, and uses it once: this file has no memory.
"""

import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from alise.login.id_token import verified_id_token
from alise.login.metadata import Metadata
from alise.login.provider import ProvenIdentity, proven
from alise.login.remote_provider import RemoteProvider, Unreachable
from common.token_verification import BadToken

log = logging.getLogger(__name__)

SESSION_S = 8 * 3600  # the provider's own session may be so old at an ordinary login
FRESH_S = 300  # a login that is asked for anew may be so old when its answer comes
_CLOCKS_DIFFER_S = 60
_LONGEST_CODE = 4096
_ASK_FOR_LOGIN = {
    "prompt": {"prompt": "login", "max_age": "0"},  # max_age brings auth_time, which can be checked
    "max_age": {"max_age": "0"},
    "select": {"prompt": "select_account"},  # Google offers no more
}


@dataclass(frozen=True)
class Begun:
    """Secret until the answer has come."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    fresh: bool  # a new login was asked for


class Refused(Exception):
    """code: declined, unreachable, other_issuer, bad_token, not_fresh, other_subject. The detail is for the log."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail


async def begin(remote: RemoteProvider, redirect_uri: str, *, fresh: bool, language: str = "en") -> tuple[str, Begun]:
    """Where the browser goes, and what to remember until it comes back. Refused when the provider cannot be reached."""
    metadata = await _metadata(remote)
    begun = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), fresh)
    url = prepare_grant_uri(
        metadata.authorization_endpoint,
        client_id=remote.provider.client_id,
        response_type="code",
        redirect_uri=redirect_uri,
        scope=" ".join(dict.fromkeys(("openid", *remote.provider.scopes))),
        state=begun.state,
        nonce=begun.nonce,
        code_challenge=create_s256_code_challenge(begun.verifier),
        code_challenge_method="S256",
        ui_locales=language,
        **_wanted(remote.provider.fresh_by, fresh),
    )
    return str(url), begun


async def complete(remote: RemoteProvider, redirect_uri: str, begun: Begun, answer: Mapping[str, str]) -> ProvenIdentity:
    """Refused, with a code, for any answer that does not prove who logged in."""
    metadata = await _metadata(remote)
    code = _code(remote, metadata, answer)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": begun.verifier}
    try:
        tokens = await remote.exchange(metadata, form)
        return await _identity(remote, metadata, begun, tokens)
    except Unreachable as failed:
        raise Refused("unreachable", str(failed)) from failed
    except BadToken as bad:
        raise Refused("unreachable" if bad.code == "issuer_unavailable" else "bad_token", f"{bad.code}: {bad.detail}") from bad


async def logout_url(remote: RemoteProvider, id_token: str, back: str) -> str:
    """Where the provider ends its own session (RP-Initiated Logout 1.0); empty: it has no such place, or is away."""
    try:
        endpoint = (await remote.metadata()).end_session_endpoint
    except Unreachable:
        return ""
    asked = {"id_token_hint": id_token, "client_id": remote.provider.client_id, "post_logout_redirect_uri": back}
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}" if endpoint and id_token else ""


def _wanted(fresh_by: str, fresh: bool) -> dict[str, str]:
    """max_age makes the provider say when the login was; that spares a person who has just logged in another one."""
    if fresh:
        return _ASK_FOR_LOGIN[fresh_by]
    return {} if fresh_by == "select" else {"max_age": str(SESSION_S)}


async def _metadata(remote: RemoteProvider) -> Metadata:
    try:
        return await remote.metadata()
    except Unreachable as failed:
        raise Refused("unreachable", str(failed)) from failed


def _code(remote: RemoteProvider, metadata: Metadata, answer: Mapping[str, str]) -> str:
    """An error answer is believed only if it names the right issuer, too."""
    named = answer.get("iss")
    if named is None and metadata.names_itself:
        raise Refused("other_issuer", "the answer names no issuer")
    if named is not None and named != remote.provider.issuer:
        raise Refused("other_issuer", f"the answer is of {named[:200]!r}")
    if "error" in answer:
        raise Refused("declined", f"{answer['error'][:80]!r}")
    code = answer.get("code", "")
    if not 0 < len(code) <= _LONGEST_CODE:
        raise Refused("declined", "the answer has no code")
    return code


async def _identity(remote: RemoteProvider, metadata: Metadata, begun: Begun, tokens: Mapping[str, Any]) -> ProvenIdentity:
    id_token, access_token = tokens.get("id_token"), tokens.get("access_token")
    if not isinstance(id_token, str) or not isinstance(access_token, str):
        raise Refused("bad_token", "the provider sent no ID token")
    believed = await verified_id_token(id_token, access_token, remote.provider, remote.keys, begun.nonce)
    claims = await _with_userinfo(remote, metadata, access_token, believed.subject, believed.claims)
    identity = proven(remote.provider, believed.subject, claims, id_token)
    if begun.fresh:
        require_fresh(identity, time.time(), said_by_provider=remote.provider.fresh_by != "select")
    return identity


async def _with_userinfo(
    remote: RemoteProvider, metadata: Metadata, access_token: str, subject: str, claims: Mapping[str, Any]
) -> Mapping[str, Any]:
    """UserInfo adds, and never replaces what was signed (OpenID Connect Core 1.0, section 5.3.2)."""
    if not metadata.userinfo_endpoint:
        return claims
    answer = await remote.userinfo(metadata, access_token)
    if answer.get("sub") != subject:
        raise Refused("other_subject", "UserInfo is about somebody else")
    return {**answer, **claims}


def require_fresh(identity: ProvenIdentity, now: float, *, said_by_provider: bool = True) -> None:
    """The provider was asked for a new login: whether there was one, only auth_time says."""
    when = identity.authenticated_at
    if when is None and not said_by_provider:
        return  # the provider cannot say; its ID token is minutes old at most
    if when is None or not now - FRESH_S <= when <= now + _CLOCKS_DIFFER_S:
        raise Refused("not_fresh", "auth_time is missing" if when is None else f"auth_time is {now - when:.0f} s ago")
