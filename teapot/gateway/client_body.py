"""The body of a client's request, as it comes: each piece in time, all of it or a Failure; 100 Continue only when somebody wants it."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from teapot.channel import packets
from teapot.gateway.failure import Failure
from teapot.gateway.receive import Received
from teapot.gateway.reply import Reply


class ClientBody:
    def __init__(self, http: web.BaseRequest, received: Received, reply: Reply, patience_s: float) -> None:
        self._content, self._received, self._reply, self._patience_s = http.content, received, reply, patience_s
        self._kept: bytes | None = None
        self.taken = 0  # bytes

    @property
    def large(self) -> bool:
        return self._received.chunked or (self._received.length or 0) > packets.MAX_BODY_BYTES

    @property
    def complete(self) -> bool:
        return self._content.is_eof()

    async def whole(self) -> bytes:
        """At most 64 KiB. Read once, though it may be sent to a second worker."""
        if self._kept is None:
            self._kept = await self._read() if self._received.chunked or self._received.length else b""
        return self._kept

    async def _read(self) -> bytes:
        parts, size = [], 0
        async for data in self.pieces():
            size += len(data)
            if size > packets.MAX_BODY_BYTES:
                raise Failure("content_not_accepted", "a body of more than 64 KiB")
            parts.append(data)
        return b"".join(parts)

    async def pieces(self) -> AsyncIterator[bytes]:
        if self._received.expects_continue:
            self._reply.interim()
        try:
            while data := await self._next():
                self.taken += len(data)
                yield data
        except TimeoutError:
            raise Failure("body_too_slow") from None
        except (web.RequestPayloadError, ConnectionError, RuntimeError) as short:  # RuntimeError: aiohttp's "Connection closed."
            raise Failure("body_too_short", type(short).__name__) from short

    async def _next(self) -> bytes:
        async with asyncio.timeout(self._patience_s):
            return await self._content.readany()
