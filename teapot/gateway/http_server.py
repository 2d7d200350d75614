"""aiohttp's low-level server with our limits: one HTTP parser, no router, no middleware, no echo of what a client sent.

What the parser refuses is answered here, without a traceback in the log: anybody can send nonsense, and in any number.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from teapot.channel.problems import PROBLEMS
from teapot.configuration import Server
from teapot.gateway.reply import Done, last_word
from teapot.gateway.request_ids import new_request_id

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 16 * 1024  # a name of 4096 bytes, every one of them escaped
MAX_FIELD_BYTES = 32 * 1024
MAX_HEADERS = 64
_LINGERING_S = 2.0
_READ_BUFFER_BYTES = 256 * 1024
_LONGEST_MS = (1 << 31) - 1  # that the kernel takes


class HttpRequest(web.BaseRequest):
    """aiohttp's request, and what the parser made of the request line and the fields: raw bytes, the target as it came."""

    def __init__(self, message: RawRequestMessage, *rest: Any) -> None:
        super().__init__(message, *rest)
        self.parsed = message


Handler = Callable[[HttpRequest], Awaitable[Any]]


class Connection(RequestHandler):
    """One client connection."""

    __slots__ = ("_patience_s",)

    def __init__(self, manager: "HttpServer", patience_s: float, **settings: Any) -> None:
        super().__init__(manager, **settings)
        self._patience_s = patience_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client that takes nothing of its answer for so long is cut off by the kernel: it holds a place at its account's worker."""
        super().connection_made(transport)
        patience_ms = min(int(1000 * self._patience_s), _LONGEST_MS)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience_ms)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> Any:
        """What the parser did not understand: our own words, then the connection closes."""
        unreadable = "header_too_large" if isinstance(exc, LineTooLong) or status == 431 else "bad_request"
        self._refuse("internal_error" if status >= 500 else unreadable, exc)
        return Done(keep_alive=False)

    def data_received(self, data: bytes) -> None:
        """The parser may trip over what it reads (a CONNECT without an authority, say): that is a bad request as well."""
        try:
            super().data_received(data)
        except Exception as error:
            self._refuse("bad_request", error)
            self.force_close()
            _let_go(error)
        self._forget_what_was_sent()

    def _forget_what_was_sent(self) -> None:
        """The parser's errors quote it, several times over."""
        wrong, payload = self._messages[-1] if self._messages else (None, None)
        if isinstance(wrong, _ErrInfo) and payload is not None:
            _let_go(wrong.exc)
            self._messages[-1] = (_ErrInfo(status=wrong.status, exc=wrong.exc, message=""), payload)

    def _refuse(self, code: str, why: BaseException | None) -> None:
        """No word of what the client sent goes into the log."""
        request_id = new_request_id()
        if PROBLEMS[code].status >= 500:
            log.error("%s %s: %s", request_id, code, ascii(why)[:200])
        else:
            log.info("%s %s: %s", request_id, code, type(why).__name__)
        if self.transport is not None:
            self.transport.write(last_word(code, request_id))

    def close_if_idle(self) -> None:
        """Its request, if there is one, goes on: aiohttp's own shutdown would drop what still comes of a body."""
        if self._current_request is None and not self._messages:
            self.close()

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        log.error("connection: %s", args[0] if args else "")

    def log_debug(self, *args: Any, **kwargs: Any) -> None:
        pass


def _let_go(why: BaseException | None) -> None:
    """The parser's errors quote what was sent, several times over, and refer to themselves: it would stay until the collector comes."""
    while why is not None:
        why.__traceback__ = None
        if isinstance(why, HttpProcessingError):
            why.message, why.args = "", ()
        why = why.__cause__ or why.__context__


class HttpServer(web.Server):
    def __init__(self, handler: Handler, server: Server) -> None:
        super().__init__(handler, request_factory=self._request, handler_cancellation=True)  # type: ignore[arg-type]
        self._settings = server

    def __call__(self) -> Connection:
        return Connection(
            self,
            self._settings.body_timeout_s,
            loop=asyncio.get_running_loop(),
            access_log=None,  # request_path.py logs each request
            keepalive_timeout=self._settings.keepalive_timeout_s,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_FIELD_BYTES,
            max_headers=MAX_HEADERS,
            lingering_time=_LINGERING_S,
            read_bufsize=_READ_BUFFER_BYTES,
            auto_decompress=False,
        )

    def _request(self, *made_of: Any) -> HttpRequest:
        return HttpRequest(*made_of, self._loop)

    def close_idle(self) -> None:
        for connection in self.connections:
            if isinstance(connection, Connection):
                connection.close_if_idle()
