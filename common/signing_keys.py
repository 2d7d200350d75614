"""Reads a JSON Web Key Set: which keys may verify a signature, and with which algorithms. Pure.

Nothing symmetric, nothing too short, and never "none"; what is not understood is passed over (RFC 7517, section 5).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa

from common.https_json import FetchFailed

MAX_KEYS = 64
_RSA_BITS = range(2048, 8193)

# By kty, or by crv where there is one: an algorithm that does not fit the key is never tried.
_ALGORITHMS: Mapping[tuple[str, str | None], tuple[str, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
ALGORITHMS = frozenset(name for names in _ALGORITHMS.values() for name in names)
_PUBLIC_MEMBERS = frozenset(("kty", "crv", "n", "e", "x", "y"))


class Key(NamedTuple):
    id: str | None
    algorithms: tuple[str, ...]
    public: Any  # of the cryptography package


def read_keys(document: dict[str, Any]) -> tuple[Key, ...]:
    """FetchFailed when this is no key set at all; an empty one is an issuer's word that none of its keys counts."""
    listed = document.get("keys")
    if not isinstance(listed, list):
        raise FetchFailed("the key set has no list of keys")
    return tuple(key for entry in listed[:MAX_KEYS] if (key := _read_key(entry)) is not None)


def fitting(keys: tuple[Key, ...], key_id: str | None, algorithm: str) -> tuple[Key, ...]:
    """Those that a token with this header may be signed with; a token that names no key may be signed with any."""
    return tuple(key for key in keys if algorithm in key.algorithms and key_id in (None, key.id))


def _read_key(entry: Any) -> Key | None:
    if not isinstance(entry, dict) or not _is_for_signatures(entry):
        return None
    algorithms, key_id = _algorithms(entry), entry.get("kid")
    if not algorithms or not isinstance(key_id, str | None):
        return None
    try:
        public = jwt.PyJWK({name: entry[name] for name in _PUBLIC_MEMBERS & entry.keys()}, algorithms[0]).key
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    if isinstance(public, rsa.RSAPublicKey) and public.key_size not in _RSA_BITS:
        return None
    return Key(key_id, algorithms, public)


def _is_for_signatures(entry: dict[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def _algorithms(entry: dict[str, Any]) -> tuple[str, ...]:
    kind, curve = entry.get("kty"), entry.get("crv")
    if not isinstance(kind, str) or not isinstance(curve, str | None):
        return ()
    fit = _ALGORITHMS.get((kind, curve), ())
    return tuple(one for one in fit if one == entry["alg"]) if "alg" in entry else fit
