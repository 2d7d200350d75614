"""The way of a large file's bytes from a worker's stream to a client's plain TCP connection inside the kernel, neither copied nor seen.

Only for bytes that nothing is to be done with: no TLS, no chunks, and all that was written before has left. The pipe in the middle is the
gateway's own, and never holds more than was announced: nothing that a worker does to its stream can fill or block it.
"""

import asyncio
import contextlib
import fcntl
import os
import socket
from types import TracebackType
from typing import Self

PIECE_BYTES = 1 << 20
WORTHWHILE_BYTES = 4 << 20  # below it a pipe costs more than copies do


class Splice:
    """`with Splice(client)`: on a descriptor of its own for the client's connection, which stays the transport's."""

    def __init__(self, client: int) -> None:
        self._loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as opened:
            self._exit, self._entry = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            opened.callback(os.close, self._exit)
            opened.callback(os.close, self._entry)
            with contextlib.suppress(OSError):  # the account has many large pipes already: a small one does as well
                fcntl.fcntl(self._entry, fcntl.F_SETPIPE_SZ, PIECE_BYTES)
            self._client = os.dup(client)
            opened.callback(os.close, self._client)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self._opened.close()

    def fill(self, stream: socket.socket, at_most: int) -> int:
        """How many bytes came; 0 at the end of the stream, or when none are wanted. BlockingIOError when there is nothing yet."""
        return os.splice(stream.fileno(), self._entry, min(at_most, PIECE_BYTES), flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)

    async def empty(self, length: int, more: bool) -> None:
        """Send what was filled in. ConnectionError: the client has gone."""
        flags = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK | (os.SPLICE_F_MORE if more else 0)
        while length:
            try:
                length -= os.splice(self._exit, self._client, length, flags=flags)
            except BlockingIOError:
                await self._writable()

    async def _writable(self) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_writer(self._client, _resolve, ready)
        try:
            await ready
        finally:
            self._loop.remove_writer(self._client)


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
