"""Verifies bearer JWTs: only of configured issuers, signed with an asymmetric key of theirs, for this service, now.

Before `verified` returns, every name here says unverified. A token is parsed once, so that what was signed and what
is believed are the same bytes. A refusal has a code that the services turn into their own answers; no text of it ever
holds the token.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jwt
import msgspec

from common.https_json import FetchFailed
from common.signing_keys import ALGORITHMS, Key

SKEW_S = 60.0  # for nbf and iat; exp has none
MAX_TOKEN_BYTES = 24 * 1024
_MAX_TRIED_KEYS = 4  # by a token that does not say which key it is signed with
_MAX_SUBJECT_CHARACTERS = 255
_TYPES = frozenset(("jwt", "at+jwt", "application/jwt", "application/at+jwt"))
_JWS = jwt.PyJWS(algorithms=sorted(ALGORITHMS))
_CLAIMS = msgspec.json.Decoder(dict[str, Any])


class BadToken(Exception):
    """code: malformed, algorithm, issuer, signature, expired, not_yet_valid, audience, claims or issuer_unavailable."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail


class Keys(Protocol):
    """As KeyCache: FetchFailed when nobody knows the issuer's keys."""

    async def candidates(self, key_id: str | None, algorithm: str) -> tuple[Key, ...]: ...

    async def renewed(self) -> bool: ...


class Expected(NamedTuple):
    """What tokens of one issuer must fulfil."""

    keys: Keys
    audiences: frozenset[str]
    audience_required: bool


class VerifiedClaims(NamedTuple):
    """Made by `verified` only."""

    issuer: str
    subject: str
    expires: float  # seconds since the epoch
    claims: Mapping[str, Any]


class _Unverified(NamedTuple):
    token: str
    algorithm: str
    key_id: str | None
    issuer: str
    claims: dict[str, Any]


async def verified(
    token: str, issuers: Mapping[str, Expected], clock: Callable[[], float] = time.time
) -> VerifiedClaims:
    """BadToken for anything that is not beyond doubt. The issuer is known before anything of it is fetched."""
    unverified = _read(token)
    expected = issuers.get(unverified.issuer)
    if expected is None:
        raise BadToken("issuer", f"issuer {unverified.issuer[:200]!r}")
    try:
        await _require_signature(unverified, expected.keys)
    except FetchFailed as failed:
        raise BadToken("issuer_unavailable", str(failed)[:300]) from failed
    return _believed(unverified, expected, clock())


def _read(token: str) -> _Unverified:
    if len(token) > MAX_TOKEN_BYTES:
        raise BadToken("malformed", f"{len(token)} characters")
    try:
        parts = _JWS.decode_complete(token, options={"verify_signature": False})
        claims = _CLAIMS.decode(parts["payload"])
    except (jwt.PyJWTError, msgspec.MsgspecError, ValueError, RecursionError) as wrong:
        raise BadToken("malformed", type(wrong).__name__) from wrong
    header, issuer = parts["header"], claims.get("iss")
    algorithm = _acceptable_algorithm(header)
    if not isinstance(issuer, str):
        raise BadToken("issuer", "no iss")
    return _Unverified(token, algorithm, header.get("kid"), issuer, claims)


def _acceptable_algorithm(header: dict[str, Any]) -> str:
    algorithm, kind = header.get("alg"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise BadToken("algorithm", f"alg {str(algorithm)[:20]!r}")
    if "crit" in header:
        raise BadToken("algorithm", "crit is not understood")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise BadToken("claims", f"typ {str(kind)[:40]!r}")
    return algorithm


async def _require_signature(unverified: _Unverified, keys: Keys) -> None:
    """A signature that fits no key is looked at again if the issuer has newer keys: some keep the id of a key that
    they replace.
    """
    candidates = await keys.candidates(unverified.key_id, unverified.algorithm)
    if _is_signed(unverified, candidates):
        return
    if (
        candidates
        and await keys.renewed()
        and _is_signed(unverified, await keys.candidates(unverified.key_id, unverified.algorithm))
    ):
        return
    raise BadToken(
        "signature",
        "no key of the issuer fits" if candidates else f"the issuer has no key {str(unverified.key_id)[:80]!r}",
    )


def _is_signed(unverified: _Unverified, candidates: tuple[Key, ...]) -> bool:
    for candidate in candidates[:_MAX_TRIED_KEYS]:
        try:
            _JWS.decode(unverified.token, candidate.public, algorithms=[unverified.algorithm])
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as wrong:
            raise BadToken("malformed", type(wrong).__name__) from wrong
        return True
    return False


def _believed(signed: _Unverified, expected: Expected, now: float) -> VerifiedClaims:
    expires = _check_times(signed.claims, now)
    _check_audience(signed.claims.get("aud"), expected)
    subject = signed.claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT_CHARACTERS or not subject.isprintable():
        raise BadToken("claims", "sub is missing, or no short text")
    return VerifiedClaims(signed.issuer, subject, expires, signed.claims)


def _check_times(claims: dict[str, Any], now: float) -> float:
    expires = _time(claims, "exp")
    if expires is None:
        raise BadToken("claims", "exp is missing")
    if now >= expires:
        raise BadToken("expired", f"{now - expires:.0f} s ago")
    for name in ("nbf", "iat"):
        begins = _time(claims, name)
        if begins is not None and begins > now + SKEW_S:
            raise BadToken("not_yet_valid", f"{name} is {begins - now:.0f} s ahead")
    return expires


def _time(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e12:
        raise BadToken("claims", f"{name} is no time")
    return float(value)


def _check_audience(audience: object, expected: Expected) -> None:
    if audience is None and not expected.audience_required:
        return
    listed = [audience] if isinstance(audience, str) else audience
    if not isinstance(listed, list) or not expected.audiences.intersection(
        one for one in listed if isinstance(one, str)
    ):
        raise BadToken("audience", f"aud {str(audience)[:200]!r}")
