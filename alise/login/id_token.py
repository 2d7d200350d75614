"""Verifies an ID token (OpenID Connect Core 1.0, section 3.1.3.7): of this provider, for this client, in answer to this very request.

Signature, issuer, audience and times are checked where bearer tokens are (common/token_verification.py); here is what only ID tokens have.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from alise.login.provider import Provider
from common.token_verification import BadToken, Expected, Keys, VerifiedClaims, verified

_OLDEST_S = 600.0  # since it was issued: a code is redeemed at once
_DIGESTS = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


async def verified_id_token(
    token: str, access_token: str, provider: Provider, keys: Keys, nonce: str, clock: Callable[[], float] = time.time
) -> VerifiedClaims:
    """BadToken for anything that is not beyond doubt; code "nonce" and "kind" beside those of bearer tokens."""
    expected = Expected(keys, frozenset((provider.client_id,)), audience_required=True)
    believed = await verified(token, {provider.issuer: expected}, clock)
    header = jwt.get_unverified_header(token)  # it was signed, as the verification has shown
    _refuse_access_token(header)
    _require(believed.claims.get("nonce") == nonce, "nonce", "of another request")
    _require_for_us(believed.claims, provider.client_id)
    _require_recent(believed.claims, clock())
    _require_access_token(believed.claims, str(header["alg"]), access_token)
    return believed


def _refuse_access_token(header: Mapping[str, Any]) -> None:
    """Some providers put the client into the audience of its access tokens (RFC 9068 marks them by typ)."""
    kind = str(header.get("typ", "JWT")).lower()
    _require("at+jwt" not in kind, "kind", "an access token is no ID token")


def _require_for_us(claims: Mapping[str, Any], client_id: str) -> None:
    """Of several audiences, azp says which one asked."""
    audience, party = claims.get("aud"), claims.get("azp")
    _require(party is None or party == client_id, "audience", "azp is another client")
    _require(not isinstance(audience, list) or len(audience) == 1 or party == client_id, "audience", "several, and no azp")


def _require_recent(claims: Mapping[str, Any], now: float) -> None:
    issued = claims.get("iat")
    _require(isinstance(issued, int | float) and now - issued <= _OLDEST_S, "expired", "iat is missing or long ago")


def _require_access_token(claims: Mapping[str, Any], algorithm: str, access_token: str) -> None:
    """at_hash, where the provider sends it: the access token that came with it was not exchanged on the way."""
    sent, digest = claims.get("at_hash"), _DIGESTS.get(algorithm[-3:], hashlib.sha512)
    if sent is not None:
        half = digest(access_token.encode()).digest()
        half = half[: len(half) // 2]
        _require(sent == base64.urlsafe_b64encode(half).rstrip(b"=").decode(), "claims", "at_hash is of another access token")


def _require(holds: bool, code: str, detail: str) -> None:
    if not holds:
        raise BadToken(code, detail)
