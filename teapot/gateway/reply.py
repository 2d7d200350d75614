"""Writes answers: heads in one piece, bodies as they come with back-pressure, and problems as RFC 9457 wants them.

What is sent goes straight to the transport; aiohttp's handler loop gets a Done, which has nothing left to write.
"""

import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus

import msgspec
from aiohttp import web

from teapot.channel.problems import PROBLEMS
from teapot.channel.worker_messages import ALLOWED, LOCALITIES
from teapot.gateway import problem_page
from teapot.gateway.failure import Failure
from teapot.pages.frame import POLICY

Fields = list[tuple[bytes, bytes]]
_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b" % (status.value, status.phrase.encode()) for status in HTTPStatus}
_NO_BODY = (204, 304)
_CHALLENGE = 'Bearer realm="teapot"'


class Done:
    """Stands for an answer that is on its way already."""

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        pass

    async def write_eof(self) -> None:
        pass


class Reply:
    """The answer to one request, on its connection."""

    def __init__(self, request: web.BaseRequest, request_id: str, closing: Callable[[], bool]) -> None:
        self._request = request
        self._id = request_id.encode()
        self.keep_alive = request.keep_alive
        self._closing = closing
        self.begun = False
        self.status, self.sent = 0, 0
        self._chunked = False

    def head(self, status: int, fields: Fields, length: int | None, body: bytes = b"") -> None:
        """Send the head, and with it a body that is at hand. length None: the body's end is told in chunks, or by closing."""
        if self._closing():
            self.keep_alive = False
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown" % status]
        lines += [b"%b: %b" % field for field in fields]
        if length is not None and status not in _NO_BODY:
            lines.append(b"content-length: %d" % length)
        elif status not in _NO_BODY and self._request.method != "HEAD":
            self._chunked = self._request.version >= (1, 1)
            self.keep_alive = self.keep_alive and self._chunked
            lines += [b"transfer-encoding: chunked"] if self._chunked else []
        lines.append(_common(int(time.time())) + self._id)
        if not self.keep_alive:
            lines.append(b"connection: close")
        elif self._request.version == (1, 0):
            lines.append(b"connection: keep-alive")
        self.begun, self.status = True, status
        self.sent += len(body)
        self._write(b"\r\n".join((*lines, b"", body)))

    async def piece(self, data: bytes) -> None:
        self.sent += len(data)
        if self._chunked:
            self._write(b"%x\r\n" % len(data))
            self._write(data)
            self._write(b"\r\n")
        else:
            self._write(data)
        await self.drain()

    async def plain_socket(self) -> int | None:
        """The client's connection, once all that was written has left; None where what follows has to be encrypted or framed."""
        transport = self._request.transport
        if self._chunked or transport is None or transport.get_extra_info("sslcontext"):
            return None
        transport.set_write_buffer_limits(0)
        await self.drain()
        transport.set_write_buffer_limits()
        descriptor: int = transport.get_extra_info("socket").fileno()
        if descriptor < 0:
            raise ConnectionResetError("the client has gone")
        return descriptor

    async def end(self) -> Done:
        """The body is complete."""
        if self._chunked:
            self._write(b"0\r\n\r\n")
        await self.drain()
        return Done(self.keep_alive)

    async def drain(self) -> None:
        """Wait until the client has taken enough of what was written."""
        if self._request.protocol.writing_paused:
            await self._request.protocol._drain_helper()

    def cut(self) -> Done:
        """The body cannot be completed: the client must see that it is cut off."""
        transport = self._request.transport
        if transport is not None:
            transport.abort()
        self.keep_alive = False
        return Done(False)

    def interim(self) -> None:
        """100 Continue, to who waits for it."""
        self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def problem(self, failure: Failure) -> Done:
        problem = failure.problem
        if problem.close or not self._request.content.is_eof():
            self.keep_alive = False
        kind, body = self._told(failure)
        fields = [*failure.fields, *kind]
        if problem.retry_after_s:
            fields.append((b"retry-after", b"%d" % problem.retry_after_s))
        if failure.link_url:
            fields.append((b"link", b'<%b>; rel="help"; title="Link your account"' % failure.link_url.encode()))
        if challenge := _challenge(failure.code):
            fields.append((b"www-authenticate", challenge.encode()))
        if problem.status == 405 and not any(name == b"allow" for name, _ in fields):
            asked = self._request.method.encode("ascii", "replace")
            fields.append((b"allow", b",".join(method for method in ALLOWED if method != asked)))
        self.head(problem.status, fields, len(body), b"" if self._request.method == "HEAD" else body)
        return await self.end()

    def _told(self, failure: Failure) -> tuple[Fields, bytes]:
        accept = self._request.headers.get("Accept", "").encode("ascii", "replace")
        if problem_page.is_wanted(self._request.method, accept):
            fields = [(b"content-type", b"text/html; charset=utf-8"), (b"content-security-policy", POLICY), (b"vary", b"accept")]
            return fields, problem_page.page(failure.problem, self._id.decode(), failure.link_url)
        body = problem_body(failure.code, self._id.decode(), link_url=failure.link_url, locality=_locality(failure))
        return [(b"content-type", b"application/problem+json")], body

    def _write(self, data: bytes) -> None:
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        transport.write(data)


def problem_body(code: str, request_id: str, **more: str) -> bytes:
    """`more`: members beside those that each problem has; empty ones are left out."""
    problem = PROBLEMS[code]
    members = {
        "type": f"urn:teapot:problem:{code}",
        "title": problem.sentence,
        "status": problem.status,
        "code": code,
        "step": problem.step,
        "request_id": request_id,
    }
    return msgspec.json.encode(members | {name: value for name, value in more.items() if value})


def _locality(failure: Failure) -> str:
    """As its worker says it in a field; "": it does not, or with a word that is none."""
    told = dict(failure.fields).get(b"locality", b"").decode("latin-1")
    return told if told in LOCALITIES else ""


def last_word(code: str, request_id: str) -> bytes:
    """A whole answer, for a connection on which no request could be made out; it closes."""
    problem, body = PROBLEMS[code], problem_body(code, request_id)
    lines = (
        _STATUS_LINES[problem.status],
        b"content-type: application/problem+json",
        b"content-length: %d" % len(body),
        _common(int(time.time())) + request_id.encode(),
        b"connection: close",
    )
    return b"\r\n".join((*lines, b"", body))


def _challenge(code: str) -> str:
    """RFC 6750, section 3: no error is named to who has sent no token."""
    problem = PROBLEMS[code]
    if code == "insufficient_scope":
        return f'{_CHALLENGE}, error="insufficient_scope"'
    if problem.status != 401:
        return ""
    if code in ("token_missing", "anonymous_read_only"):
        return _CHALLENGE
    return f'{_CHALLENGE}, error="invalid_token", error_description="{problem.sentence}"'.replace("'", "")


_cached = (0, b"")


def _common(now: int) -> bytes:
    """The fields of every answer, up to the request id's value; made once a second."""
    global _cached
    if _cached[0] != now:
        date = formatdate(now, usegmt=True).encode()
        _cached = now, b"date: %b\r\nserver: teapot\r\nx-content-type-options: nosniff\r\nx-request-id: " % date
    return _cached[1]
