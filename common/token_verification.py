"""Verifies bearer JWTs: only of configured issuers, signed with an asymmetric key of theirs, for this service, now.

Before `verified` returns, every name here says unverified. A refusal has a code that the services turn into their own answers; no text of
it
ever holds the token.
"""

import asyncio
import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jwt

from common.discovery import FetchFailed
from common.signing_keys import ALGORITHMS, SigningKeys

_ACCEPTED = frozenset(name for names in ALGORITHMS.values() for name in names)
_TYPES = frozenset(("jwt", "at+jwt", "application/jwt", "application/at+jwt"))
SKEW_S = 60.0  # for nbf and iat; exp has none
MAX_TOKEN_BYTES = 24 * 1024


class BadToken(Exception):
    """code: malformed, algorithm, issuer, signature, expired, not_yet_valid, audience, claims or issuer_unavailable."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail


class Expected(NamedTuple):
    """What tokens of one issuer must fulfil."""

    keys: SigningKeys
    audiences: frozenset[str]
    audience_required: bool


class VerifiedClaims(NamedTuple):
    """Made by `verified` only."""

    issuer: str
    subject: str
    expires: float  # seconds since the epoch
    claims: Mapping[str, Any]


async def verified(unverified: str, issuers: Mapping[str, Expected], clock: Callable[[], float] = time.time) -> VerifiedClaims:
    """BadToken for anything that is not beyond doubt. The issuer is looked up before anything of it is fetched."""
    header, unverified_issuer = _unverified_parts(unverified)
    expected = issuers.get(unverified_issuer)
    if expected is None:
        raise BadToken("issuer", f"issuer {unverified_issuer[:200]!r}")
    claims = await _signed_claims(unverified, header, expected)
    _check_times(claims, clock())
    _check_audience(claims, expected)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise BadToken("claims", "sub is missing, or no short text")
    return VerifiedClaims(unverified_issuer, subject, float(claims["exp"]), claims)


def _unverified_parts(unverified: str) -> tuple[dict[str, Any], str]:
    if len(unverified) > MAX_TOKEN_BYTES:
        raise BadToken("malformed", f"{len(unverified)} bytes")
    header = _unverified_header(unverified)
    if not isinstance(header.get("alg"), str) or header["alg"] not in _ACCEPTED:
        raise BadToken("algorithm", f"alg {str(header.get('alg'))[:20]!r}")
    if "crit" in header:
        raise BadToken("algorithm", "crit is not understood")
    try:
        issuer = jwt.api_jwt.decode_complete(unverified, options={"verify_signature": False})["payload"].get("iss")
    except (jwt.PyJWTError, ValueError, RecursionError) as wrong:
        raise BadToken("malformed", type(wrong).__name__) from wrong
    if str(header.get("typ", "JWT")).lower() not in _TYPES:
        raise BadToken("claims", f"typ {str(header['typ'])[:40]!r}")
    if not isinstance(issuer, str):
        raise BadToken("issuer", "no iss")
    return header, issuer


def _unverified_header(unverified: str) -> dict[str, Any]:
    """Read by ourselves, because the library refuses some headers before one can say why."""
    try:
        first = unverified.partition(".")[0].encode()
        header = json.loads(base64.urlsafe_b64decode(first + b"=" * (-len(first) % 4)))
    except (ValueError, RecursionError) as wrong:
        raise BadToken("malformed", type(wrong).__name__) from wrong
    if not isinstance(header, dict):
        raise BadToken("malformed", "the header is no object")
    return header


async def _signed_claims(unverified: str, header: dict[str, Any], expected: Expected) -> dict[str, Any]:
    key_id = header.get("kid")
    try:
        candidates = await expected.keys.candidates(key_id if isinstance(key_id, str) else None, header["alg"])
    except FetchFailed as failed:
        raise BadToken("issuer_unavailable", str(failed)) from failed
    return await asyncio.get_running_loop().run_in_executor(None, _first_fitting, unverified, header["alg"], candidates)


def _first_fitting(unverified: str, algorithm: str, candidates: list[Any]) -> dict[str, Any]:
    options: Any = {
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
        "verify_aud": False,
        "verify_iss": False,
        "verify_sub": False,
    }
    for candidate in candidates[:4]:
        try:
            return dict(jwt.decode(unverified, candidate.key.key, algorithms=[algorithm], options=options))
        except jwt.InvalidSignatureError:
            continue
        except jwt.PyJWTError as wrong:
            raise BadToken("malformed", type(wrong).__name__) from wrong
    raise BadToken("signature", "no key of the issuer fits")


def _check_times(claims: dict[str, Any], now: float) -> None:
    expires = claims.get("exp")
    if not _is_number(expires):
        raise BadToken("claims", "exp is missing, or no number")
    if now >= float(expires):  # type: ignore[arg-type]
        raise BadToken("expired", f"{now - float(expires):.0f} s ago")  # type: ignore[arg-type]
    for name in ("nbf", "iat"):
        value = claims.get(name)
        if value is not None and not _is_number(value):
            raise BadToken("claims", f"{name} is no number")
        if value is not None and float(value) > now + SKEW_S:
            raise BadToken("not_yet_valid", name)


def _check_audience(claims: dict[str, Any], expected: Expected) -> None:
    audience = claims.get("aud")
    listed = [audience] if isinstance(audience, str) else audience
    if listed is None and not expected.audience_required:
        return
    if not isinstance(listed, list) or not expected.audiences.intersection(one for one in listed if isinstance(one, str)):
        raise BadToken("audience", f"aud {str(audience)[:200]!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
