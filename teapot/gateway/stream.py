"""The gateway's end of a pair of stream sockets, on which a large body goes to or from a worker. The gateway makes the pair: nothing that
the worker does to its end can make this one block."""

import asyncio
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Self

from teapot.gateway.patience import Patience
from teapot.gateway.splice import Splice

PIECE_BYTES = 256 * 1024
_BUFFER_BYTES = 1 << 20


class Stream:
    """`with Stream(...)`: closed at the end of the block. TimeoutError from every wait on a worker that does not move."""

    def __init__(self, patience: Patience) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.theirs: socket.socket | None = theirs
        self._ours.setblocking(False)
        for end in (self._ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self._patience = patience
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self.given()
        self.close()

    def given(self) -> None:
        """The worker has its end now, or shall not have it."""
        if self.theirs is not None:
            self.theirs.close()
            self.theirs = None

    def close(self) -> None:
        self._ours.close()

    async def receive(self, patience_s: float) -> bytes:
        """The next piece; b"" at the end."""
        while True:
            try:
                return self._ours.recv(PIECE_BYTES)
            except BlockingIOError:
                await self._ready(self._loop.add_reader, self._loop.remove_reader, patience_s)

    async def splice(self, splice: Splice, at_most: int, patience_s: float) -> int:
        """Into the splice, unseen: how many bytes; 0 at the end."""
        while True:
            try:
                return splice.fill(self._ours, at_most)
            except BlockingIOError:
                await self._ready(self._loop.add_reader, self._loop.remove_reader, patience_s)

    async def send(self, data: bytes, patience_s: float) -> None:
        """All of it. BrokenPipeError, ConnectionResetError: the worker takes no more."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._ours.send(left) :]
            except BlockingIOError:
                await self._ready(self._loop.add_writer, self._loop.remove_writer, patience_s)

    async def _ready(self, watch: Callable[..., None], ignore: Callable[[socket.socket], object], patience_s: float) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        watch(self._ours, _resolve, ready)
        try:
            await self._patience.wait(ready, patience_s)
        finally:
            ignore(self._ours)


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
