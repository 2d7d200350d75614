"""Tokens as they come: in order, and with one thing wrong with each."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from teapot.demo.issuer import Issuer
from teapot.demo.signing_keys import SigningKeys, claims


class Tokens:
    """Of one issuer, for one audience. Profile wlcg unless `scope` is None."""

    def __init__(self, issuer: Issuer, audience: str) -> None:
        self._issuer = issuer
        self._audience = audience

    def of(self, subject: str, scope: str | None = "storage.read:/ storage.modify:/", **more: Any) -> str:
        """In order, unless `more` says something else; None takes a claim away."""
        profile = {} if scope is None else {"scope": scope}
        return self._issuer.token(subject, more.pop("aud", self._audience), **{"wlcg.ver": "1.0", **profile, **more})

    def expired(self, subject: str, by_s: int = 1) -> str:
        return self.of(subject, exp=int(time.time()) - by_s)

    def of_wrong_key(self, subject: str) -> str:
        """The issuer's name and key id, somebody else's key."""
        return SigningKeys().sign(self._claims(subject), headers={"kid": self._issuer.keys.kid["RS256"]})

    def unsigned(self, subject: str) -> str:
        return _compact({"alg": "none", "typ": "JWT"}, self._claims(subject), lambda signed: b"")

    def hs256_with_public_key(self, subject: str) -> str:
        """Verifies for whoever lets the token choose the algorithm and takes the public key for a shared secret."""
        key = self._issuer.keys.public_pem()
        header = {"alg": "HS256", "typ": "JWT", "kid": self._issuer.keys.kid["RS256"]}
        return _compact(header, self._claims(subject), lambda signed: hmac.digest(key, signed, hashlib.sha256))

    def altered(self, subject: str, other: str) -> str:
        """Signed for one subject, presented for another."""
        header, payload, signature = self.of(subject).split(".")
        said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return f"{header}.{_part({**said, 'sub': other})}.{signature}"

    def _claims(self, subject: str) -> dict[str, Any]:
        usual = claims(self._issuer.url, subject, self._audience)
        return {**usual, "wlcg.ver": "1.0", "scope": "storage.read:/ storage.modify:/"}


def _compact(header: dict[str, Any], payload: dict[str, Any], sign: Any) -> str:
    signed = f"{_part(header)}.{_part(payload)}"
    return f"{signed}.{_encode(sign(signed.encode()))}"


def _part(value: dict[str, Any]) -> str:
    return _encode(json.dumps(value).encode())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
