"""The admin port: /healthz, /readyz and /metrics, for this machine and for whom server.admin_networks names. It tells no names of people.

Three fixed paths, plain HTTP, one answer a connection. Anybody on this machine may connect, so everything is bounded.
"""

import asyncio
import ipaddress
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
_PATIENCE_S = 10.0  # for a request to arrive


class Questions(NamedTuple):
    """What the admin port asks of the observer."""

    missing: Callable[[], list[str]]
    metrics: Callable[[str], Awaitable[tuple[bytes, str]]]  # Accept header: text, content type


class AdminHttp(web.Server):
    def __init__(self, questions: Questions, networks: Iterable[str]) -> None:
        super().__init__(self._answer, access_log=None)
        self._questions = questions
        self._networks = [ipaddress.ip_network(network, strict=False) for network in networks]

    def __call__(self) -> "_Connection":
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            keepalive_timeout=_PATIENCE_S,
            lingering_time=1.0,
        )

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        answer = await self._answered(request)
        answer.headers["Cache-Control"] = "no-store"
        answer.force_close()
        return answer

    async def _answered(self, request: web.BaseRequest) -> web.Response:
        if not self._is_welcome(request):
            return _text(403, "only this machine and server.admin_networks may ask here")
        path = request.message.path.partition("?")[0]
        if path not in ("/healthz", "/readyz", "/metrics"):
            return _text(404, "there are /healthz, /readyz and /metrics")
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        if path == "/healthz":
            return _text(200, "ok")
        return self._readiness() if path == "/readyz" else await self._metrics(request)

    def _is_welcome(self, request: web.BaseRequest) -> bool:
        name = request.transport.get_extra_info("peername") if request.transport else None
        if not name:
            return False
        peer = ipaddress.ip_address(name[0].partition("%")[0])
        if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped:
            peer = peer.ipv4_mapped
        return peer.is_loopback or any(peer in network for network in self._networks)

    def _readiness(self) -> web.Response:
        missing = self._questions.missing()
        headers = {"Retry-After": "1"} if missing else {}
        body = json.dumps({"ready": not missing, "missing": missing})
        return web.Response(status=503 if missing else 200, text=body + "\n", content_type="application/json", headers=headers)

    async def _metrics(self, request: web.BaseRequest) -> web.Response:
        body, content_type = await self._questions.metrics(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})


class _Connection(RequestHandler):
    _has_asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self._manager.connections) > MAX_CONNECTIONS:  # type: ignore[union-attr]
            self.force_close()

    def data_received(self, data: bytes) -> None:
        self._has_asked = True
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that has asked and finished sending is answered all the same: health checks are often a line and a pipe."""
        return self._has_asked

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What was not understood is not sent back."""
        answer = _text(status, "this could not be answered")
        answer.force_close()
        return answer

    def log_exception(self, *args: object, **kwargs: object) -> None:
        log.error("admin port: %s", args[0] if args else "")

    def log_debug(self, *args: object, **kwargs: object) -> None:
        pass


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n")
