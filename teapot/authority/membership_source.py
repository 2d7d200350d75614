"""Asks an issuer of which groups the bearer of a token is: its UserInfo, or its introspection, where the token itself does not say.

What was said counts for a while, never beyond the token, and longer only while the issuer does not answer. Nobody waits long for an
issuer that does not (breaker.py). What it says of another subject is believed of nobody.
"""

import asyncio
import hashlib
import logging
import time
from typing import Any, NamedTuple

from common import discovery
from common.https_json import FetchFailed, JsonClient, NotOffered
from common.token_verification import VerifiedClaims
from teapot.authority import memberships
from teapot.authority.breaker import Breaker
from teapot.authority.memberships import NONE, Memberships
from teapot.authority.refusal import Refusal
from teapot.configuration import Issuer

log = logging.getLogger(__name__)

PATIENCE_S = 5.0  # with keys, mapping and directory less than a gateway's own
_ENDPOINT_S = 3600.0
_MOST_REMEMBERED = 10_000


class MembershipsUnavailable(Exception):
    """The issuer cannot be asked, or says what makes no sense. The text is for the log."""


class _Known(NamedTuple):
    held: Memberships
    asked_at: float  # monotonic


class MembershipSource:
    """Of one issuer."""

    def __init__(self, issuer: Issuer, client: JsonClient, secret: str) -> None:
        self._issuer, self._client, self._secret = issuer, client, secret
        self._known: dict[bytes, _Known] = {}
        self._breaker = Breaker()
        self._endpoint, self._endpoint_until = "", float("-inf")

    async def held(self, token: str, claims: VerifiedClaims) -> Memberships:
        """MembershipsUnavailable; Refusal token_revoked when the issuer says that the token counts no more."""
        if self._issuer.entitlements_from == "token":
            return memberships.said(claims.claims)
        key, now = hashlib.sha256(token.encode()).digest(), time.monotonic()
        known = self._known.get(key)
        if known and now < known.asked_at + self._issuer.entitlements_ttl_s:
            return known.held
        if not self._breaker.admits(now):
            return self._stale(known, "it has not answered for a while")
        try:
            async with asyncio.timeout(PATIENCE_S):
                said = await self._said(token, claims)
        except (FetchFailed, TimeoutError) as failed:
            self._breaker.failed(time.monotonic())
            return self._stale(known, str(failed) or f"no answer within {PATIENCE_S:g} s")
        self._breaker.succeeded()
        self._remember(key, _Known(said, now))
        return said

    def _stale(self, known: _Known | None, why: str) -> Memberships:
        """Only for this very token, which is not expired: it was verified a moment ago."""
        if known is None:
            raise MembershipsUnavailable(f"{self._issuer.url}: {why}")
        log.warning("%s: %s: what it said before counts", self._issuer.url, why)
        return known.held

    async def _said(self, token: str, claims: VerifiedClaims) -> Memberships:
        by_userinfo = self._issuer.entitlements_from == "userinfo"
        document = await (self._userinfo(token) if by_userinfo else self._introspection(token))
        if document is None:
            return NONE
        if document.get("sub") != claims.subject:
            raise FetchFailed(f"it speaks of the subject {str(document.get('sub'))[:80]!r}, not of {claims.subject!r}")
        return memberships.said(document)

    async def _userinfo(self, token: str) -> dict[str, Any] | None:
        """None: it knows nothing of this bearer, as of a service with a token of its own."""
        url = await self._where("userinfo_endpoint")
        try:
            return await self._client.get(url, bearer=token)
        except NotOffered as refused:
            log.info("%s: no UserInfo of this bearer: %s", self._issuer.url, refused)
            return None

    async def _introspection(self, token: str) -> dict[str, Any]:
        url = await self._where("introspection_endpoint")
        form = {"token": token, "token_type_hint": "access_token"}
        document = await self._client.post(url, form, (self._issuer.client_id, self._secret))
        if document.get("active") is not True:
            raise Refusal("token_revoked", f"{self._issuer.url} says so")
        return document

    async def _where(self, name: str) -> str:
        if time.monotonic() >= self._endpoint_until:
            self._endpoint = await discovery.endpoint(self._client, self._issuer.url, name)
            self._endpoint_until = time.monotonic() + _ENDPOINT_S
        return self._endpoint

    def _remember(self, key: bytes, known: _Known) -> None:
        self._known.pop(key, None)
        while len(self._known) >= _MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[key] = known
