"""An issuer's keys, kept for an hour, used for two days while the issuer is away, and asked for anew when a token names an unknown one.

One fetch at a time per issuer; an unknown key, or a failure, makes another fetch only after a while, whoever asks how often.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import jwt

from common.discovery import FetchFailed

REFRESH_S = 3600.0
USABLE_S = 2 * 86400.0
PAUSE_S = 30.0
_MAX_KEYS = 64

# Which algorithms a key of this type may be used with; nothing symmetric, and never "none".
ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA",),
}


class Key(NamedTuple):
    id: str | None
    algorithms: tuple[str, ...]
    key: jwt.PyJWK


class SigningKeys:
    """Of one issuer."""

    def __init__(self, fetch: Callable[[], Awaitable[dict[str, Any]]], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._clock = fetch, clock
        self._keys: tuple[Key, ...] = ()
        self._fetched = self._tried = float("-inf")
        self._failure = "never fetched"
        self._fetching: asyncio.Future[None] | None = None

    async def candidates(self, key_id: str | None, algorithm: str) -> list[Key]:
        """Keys that a token with this header may be signed with; none: there is no such key. FetchFailed: nobody knows."""
        now = self._clock()
        if now - self._fetched > REFRESH_S:
            await self._refresh()
        found = self._matching(key_id, algorithm)
        if not found and self._keys:
            await self._refresh()
            found = self._matching(key_id, algorithm)
        if self._clock() - self._fetched > USABLE_S:
            raise FetchFailed(self._failure)
        return found

    def _matching(self, key_id: str | None, algorithm: str) -> list[Key]:
        return [key for key in self._keys if algorithm in key.algorithms and key_id in (None, key.id)]

    async def _refresh(self) -> None:
        if self._fetching is None:
            if self._clock() - self._tried < PAUSE_S:
                return
            self._tried = self._clock()
            self._fetching = asyncio.ensure_future(self._fetch_once())
        await asyncio.shield(self._fetching)

    async def _fetch_once(self) -> None:
        try:
            self._keys = read_keys(await self._fetch())
            self._fetched = self._clock()
        except FetchFailed as failed:
            self._failure = str(failed)
        finally:
            self._fetching = None


def read_keys(document: dict[str, Any]) -> tuple[Key, ...]:
    """The keys of a JWKS that can verify signatures; what is not understood is passed over (RFC 7517, section 5)."""
    listed = document.get("keys")
    if not isinstance(listed, list):
        raise FetchFailed("the key set has no list of keys")
    return tuple(key for entry in listed[:_MAX_KEYS] if (key := _read_key(entry)) is not None)


def _read_key(entry: Any) -> Key | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    kind = "RSA" if entry.get("kty") == "RSA" else str(entry.get("crv"))
    algorithms = ALGORITHMS.get(kind, ())
    if "alg" in entry:
        algorithms = tuple(one for one in algorithms if one == entry["alg"])
    if not algorithms:
        return None
    try:
        return Key(entry.get("kid"), algorithms, jwt.PyJWK(entry, algorithms[0]))
    except jwt.PyJWTError:
        return None
