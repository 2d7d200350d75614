"""aiohttp's low-level server with our limits: one HTTP parser, no router, no middleware, no echo of what a client sent.

What the parser refuses is answered here, without a traceback in the log: anybody can send nonsense, and in any number.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from teapot.configuration import Server
from teapot.gateway.reply import problem_body

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 16 * 1024  # a name of 4096 bytes, every one of them escaped
MAX_FIELD_BYTES = 32 * 1024
MAX_HEADERS = 64
_LINGERING_S = 2.0
_READ_BUFFER_BYTES = 256 * 1024

_UNPARSABLE = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

_PROBLEM = "application/problem+json"

Handler = Callable[[web.BaseRequest], Awaitable[Any]]


class _NoAccessLog(AbstractAccessLogger):
    """request_path.py logs each request."""

    enabled = False

    def log(self, request: object, response: object, time: float) -> None:
        pass


class Connection(RequestHandler):
    """One client connection."""

    __slots__ = ("_header_bytes",)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> Any:
        """What the parser did not understand: our own words, then the connection closes."""
        self.keep_alive(False)
        if status >= 500:
            log.error("unexpected: %s", ascii(exc))
            return _closing(web.Response(status=500, body=problem_body("internal_error", "-"), content_type=_PROBLEM))
        code = "header_too_large" if isinstance(exc, LineTooLong) or status == 431 else "bad_request"
        body = problem_body(code, "-")
        return _closing(web.Response(status=431 if code == "header_too_large" else 400, body=body, content_type=_PROBLEM))

    def data_received(self, data: bytes) -> None:
        """The parser may trip over what it reads (a CONNECT without an authority, say): that is a bad request as well."""
        try:
            super().data_received(data)
        except Exception as error:
            log.info("a request that cannot be parsed: %s", type(error).__name__)
            if self.transport is not None:
                self.transport.write(_UNPARSABLE)
            self.force_close()

    def close_if_idle(self) -> None:
        """Its request, if there is one, goes on: aiohttp's own shutdown would drop what still comes of a body."""
        if self._current_request is None and not self._messages:
            self.close()

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        log.error("connection: %s", args[0] if args else "")

    def log_debug(self, *args: Any, **kwargs: Any) -> None:
        pass


def _closing(answer: web.Response) -> web.Response:
    answer.force_close()
    return answer


class HttpServer(web.Server):
    def __init__(self, handler: Handler, server: Server) -> None:
        super().__init__(handler, handler_cancellation=True)
        self._settings = server

    def __call__(self) -> Connection:
        return Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=log,
            access_log_class=_NoAccessLog,
            keepalive_timeout=self._settings.keepalive_timeout_s,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_FIELD_BYTES,
            max_headers=MAX_HEADERS,
            lingering_time=_LINGERING_S,
            read_bufsize=_READ_BUFFER_BYTES,
            auto_decompress=False,
        )

    def close_idle(self) -> None:
        for connection in self.connections:
            if isinstance(connection, Connection):
                connection.close_if_idle()
