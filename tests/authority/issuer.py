"""A real issuer on a loopback address, whose answers a test may change: other keys, other paths, slow, large,
redirecting, gone.
"""

import asyncio
import base64
import json
import ssl
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from teapot.demo.signing_keys import claims
from tests.authority.process import PUBLIC_URL

OPENID, OAUTH = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
P256, P384, P521 = (ec.generate_private_key(curve()) for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1))
ED25519 = ed25519.Ed25519PrivateKey.generate()


def jwk(private: Any, kid: str | None, **more: Any) -> dict[str, Any]:
    kind: dict[type, Any] = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    algorithm: Any = next((one for base, one in kind.items() if isinstance(private, base)), OKPAlgorithm)
    made = json.loads(algorithm.to_jwk(private.public_key()))
    return {**made, **({"kid": kid} if kid is not None else {}), **more}


def part(value: Any) -> str:
    """A part of a JWT: of bytes, or of what becomes JSON."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(private: Any, algorithm: str, header: Any, payload: Any) -> str:
    """Whatever it is: an issuer that is careful would not."""
    signed = f"{part(header)}.{part(payload)}"
    return f"{signed}.{part(jwt.PyJWS().get_algorithm_by_name(algorithm).sign(signed.encode(), private))}"


class TestIssuer:
    """`with TestIssuer() as issuer:` in a thread of its own; answers[path] replaces what it says at a path."""

    __test__ = False

    def __init__(self, path: str = "/", tls: ssl.SSLContext | None = None) -> None:
        self.path, self._tls, self.port = path, tls, 0
        self.keys: list[dict[str, Any]] = [
            jwk(RSA, "rsa"),
            jwk(P256, "p256"),
            jwk(P384, "p384"),
            jwk(P521, "p521"),
            jwk(ED25519, "ed25519"),
        ]
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, Handler] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.ServerRunner | None = None

    @property
    def origin(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}"

    @property
    def url(self) -> str:
        return self.origin + self.path

    def token(
        self,
        private: Any = RSA,
        algorithm: str = "RS256",
        kid: str | None = "rsa",
        header: dict[str, Any] | None = None,
        **more: Any,
    ) -> str:
        """A token that is in order; `more` replaces claims, or takes them away (None)."""
        said = {**claims(self.url, "alice-at-home", PUBLIC_URL), **more}
        headers = {"alg": algorithm, "typ": "JWT", "kid": kid, **(header or {})}
        return sign(
            private,
            algorithm,
            *({key: value for key, value in one.items() if value is not None} for one in (headers, said)),
        )

    def metadata(self) -> dict[str, Any]:
        return {"issuer": self.url, "jwks_uri": f"{self.origin}/jwks"}

    def go_down(self) -> None:
        self._run(self._close())

    def come_back(self) -> None:
        self._run(self._listen())

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls).start()
        self.port = int(self._runner.addresses[0][1])

    async def _close(self) -> None:
        if self._runner:
            await self._runner.cleanup()
        self._runner = None

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked[request.path] += 1
        if request.path in self.answers:
            return await self.answers[request.path](request)
        if request.path == self.path.rstrip("/") + OPENID:
            return web.json_response(self.metadata())
        if request.path == "/jwks":
            return web.json_response({"keys": self.keys})
        return web.Response(status=404)
