"""An OIDC issuer for demos and tests: discovery and keys over HTTPS, tokens minted on the spot. It asks nobody for a password.

It serves in a thread of its own, so that a demo has no process more to stop. What it was asked is counted, and it can be told to
fail or to be slow, because the tests want to know what happens then.
"""

import asyncio
import ssl
import threading
from collections import Counter
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from teapot.demo import signing_keys
from teapot.demo.certificates import ServerFiles
from teapot.demo.signing_keys import SigningKeys

_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0
DISCOVERY = "/.well-known/openid-configuration"


class Issuer:
    """`with Issuer(files) as issuer:`; `path` makes several issuers distinct that would share a host name."""

    def __init__(self, files: ServerFiles, path: str = "", port: int = 0) -> None:
        self.keys = SigningKeys()
        self.asked: Counter[str] = Counter()  # path: how often
        self.failing = False  # answers 503 to everything
        self.delay_s = 0.0
        self.port = port
        self._path = path
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(files.certificate, files.key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="demo-issuer", daemon=True)
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """Exactly as in the tokens' iss."""
        return f"https://localhost:{self.port}{self._path}"

    def token(self, subject: str, audience: str | list[str], *, algorithm: str = "RS256", **more: Any) -> str:
        """A token that is in order; `more` adds claims, replaces them, or takes them away (None)."""
        said = {**signing_keys.claims(self.url, subject, audience), **more}
        return self.keys.sign({name: value for name, value in said.items() if value is not None}, algorithm)

    def rotate_keys(self) -> SigningKeys:
        """New keys are published from now on; returns the old ones."""
        old, self.keys = self.keys, SigningKeys()
        return old

    def __enter__(self) -> Self:
        self._thread.start()
        self._in_thread(self._listen()).result(_START_TIMEOUT_S)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self.go_down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_TIMEOUT_S)
        self._loop.close()

    def go_down(self) -> None:
        """Nobody listens any more."""
        self._in_thread(self._close()).result(_STOP_TIMEOUT_S)

    def come_back(self) -> None:
        """On the same port."""
        self._in_thread(self._listen()).result(_START_TIMEOUT_S)

    def _in_thread(self, work: Any) -> "Future[None]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _listen(self) -> None:
        """On one port of both loopback addresses: clients may take either for localhost."""
        self._runner = web.ServerRunner(web.Server(self._answer))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls).start()
        self.port = int(self._runner.addresses[0][1])
        try:
            await web.TCPSite(self._runner, "::1", self.port, ssl_context=self._tls).start()
        except OSError:
            pass  # no IPv6 here, or somebody else's port there: clients go on to the other address

    async def _close(self) -> None:
        if self._runner:
            await self._runner.cleanup()
        self._runner = None

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.removeprefix(self._path)
        self.asked[path] += 1
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.failing:
            return web.Response(status=503)
        if path == DISCOVERY:
            return web.json_response(self._metadata())
        if path == "/jwks":
            return web.json_response(self.keys.key_set())
        return web.Response(status=404)

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": list(self.keys.private),
        }
