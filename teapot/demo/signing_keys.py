"""What an issuer signs tokens with: one RSA and one elliptic-curve key, as PEM file, as JSON Web Key Set, and in use."""

import json
import secrets
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from teapot.demo import certificates

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
TOKEN_LIFETIME_S = 3600


class SigningKeys:
    def __init__(self) -> None:
        mark = secrets.token_hex(4)  # a rotated key has another key id
        self.private: dict[str, PrivateKey] = {
            "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
            "ES256": ec.generate_private_key(ec.SECP256R1()),
        }
        self.kid = {algorithm: f"{algorithm.lower()}-{mark}" for algorithm in self.private}

    def sign(self, claims: dict[str, Any], algorithm: str = "RS256", headers: dict[str, Any] | None = None) -> str:
        return jwt.encode(claims, self.private[algorithm], algorithm=algorithm, headers={"kid": self.kid[algorithm], **(headers or {})})

    def key_set(self) -> dict[str, Any]:
        return {"keys": [self._public_jwk(algorithm) for algorithm in self.private]}

    def public_pem(self, algorithm: str = "RS256") -> bytes:
        return (
            self.private[algorithm].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )

    def write(self, path: Path, algorithm: str = "RS256") -> Path:
        certificates.write_private(path, self.private[algorithm])
        return path

    def _public_jwk(self, algorithm: str) -> dict[str, Any]:
        public = self.private[algorithm].public_key()
        made = RSAAlgorithm.to_jwk(public) if isinstance(public, rsa.RSAPublicKey) else ECAlgorithm.to_jwk(public)
        return {**json.loads(made), "kid": self.kid[algorithm], "alg": algorithm, "use": "sig"}


def claims(issuer: str, subject: str, audience: str | list[str], lifetime_s: float = TOKEN_LIFETIME_S) -> dict[str, Any]:
    """What every access token of the demo issuer says; a profile adds its own (scope, wlcg.ver)."""
    now = int(time.time())
    return {
        "iss": issuer,
        "sub": subject,
        "aud": audience,
        "iat": now,
        "nbf": now - 60,
        "exp": now + int(lifetime_s),
        "jti": secrets.token_hex(8),
    }
