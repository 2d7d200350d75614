"""An identity provider that signs what a test wants and misbehaves on request: for shapes and faults that no honest server has."""

import asyncio
import base64
import functools
import hashlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa


@functools.cache
def _keys() -> Iterator[rsa.RSAPrivateKey]:
    """Making one takes long; four in turn are different enough."""
    return itertools.cycle([rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(4)])


Handler = Callable[[web.Request], Any]


@dataclass
class MadeProvider:
    """`claims`, `userinfo` and `metadata` are added to what is right; a value None takes a member out."""

    issuer: str = ""
    client_id: str = "alise"
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Handler] = field(default_factory=dict)  # by path: instead of what is right
    sent_codes: list[str] = field(default_factory=list)
    key: rsa.RSAPrivateKey = field(default_factory=lambda: next(_keys()))
    signing_key: Any = None
    algorithm: str = "RS256"
    nonce: str = ""
    challenge: str = ""

    def asked(self, url: str) -> dict[str, str]:
        """The browser came here; its parameters are remembered for the token."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self.nonce, self.challenge = query["nonce"], query["code_challenge"]
        return query

    def id_token(self, access_token: str) -> str:
        now = int(time.time())
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        claims = {
            "iss": self.issuer, "aud": self.client_id, "sub": "somebody", "nonce": self.nonce, "iat": now, "exp": now + 300,
            "auth_time": now, "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
        }
        header = {"kid": "made"} | self.header
        return jwt.encode(_with(claims, self.claims), self.signing_key or self.key, self.algorithm, headers=header)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        handler = self.answers.get(request.path, self._ROUTES.get(request.path))
        if handler is None:
            raise web.HTTPNotFound
        said = handler(request) if request.path in self.answers else handler(self, await request.post())
        if asyncio.iscoroutine(said):
            said = await said
        return said if isinstance(said, web.StreamResponse) else web.json_response(said)

    def _metadata(self, _: object) -> dict[str, Any]:
        right = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/keys",
        }
        return _with(right, self.metadata)

    def _keys(self, _: object) -> dict[str, Any]:
        return {"keys": [jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True) | {"kid": "made", "use": "sig"}]}

    def _token(self, form: Mapping[str, Any]) -> Any:
        self.sent_codes.append(str(form["code"]))
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != self.challenge:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return _with({"access_token": "opaque", "token_type": "Bearer", "id_token": self.id_token("opaque")}, self.tokens)

    def _userinfo(self, _: object) -> dict[str, Any]:
        return _with({"sub": self.claims.get("sub", "somebody")}, self.userinfo)

    _ROUTES = {"/.well-known/openid-configuration": _metadata, "/keys": _keys, "/token": _token, "/userinfo": _userinfo}


@asynccontextmanager
async def made_provider(**settings: Any) -> AsyncIterator[MadeProvider]:
    made = MadeProvider(**settings)
    runner = web.ServerRunner(web.Server(made.answer), shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


def _with(right: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**right, **changes}.items() if value is not None}
