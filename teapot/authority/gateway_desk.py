"""Hears one gateway's questions and answers each, in any order, many at a time but not without bound."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

from teapot.authority.link import Link, NotSent
from teapot.channel import packets
from teapot.channel.authority_messages import Forget, FromAuthority, Identify, Refused

log = logging.getLogger(__name__)

MAX_QUESTIONS = 512  # being answered for one gateway; the others wait in its socket

Answering = Callable[[int, Identify], Awaitable[FromAuthority]]


class GatewayDesk:
    def __init__(
        self, number: int, end: socket.socket, answer: Answering, gone: Callable[["GatewayDesk"], None]
    ) -> None:
        self.number = number
        self._answer, self._gone = answer, gone
        self._receiver = packets.Receiver[Identify](Identify)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = self._paused = False
        self._link = Link(end, self._hear, self._lost)

    def forget(self) -> None:
        """What the gateway was answered so far is void."""
        self._in_background(self._send(Forget()))

    async def finish(self) -> None:
        """Take no new question; what is open is answered."""
        self._closing = True
        self._link.pause()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def close(self) -> None:
        self._link.close()
        for task in self._tasks:
            task.cancel()

    def _hear(self, end: socket.socket) -> None:
        self._in_background(self._serve(self._receiver.receive(end).message))
        if len(self._tasks) >= MAX_QUESTIONS and not self._paused:
            self._paused = True
            self._link.pause()

    async def _serve(self, asked: Identify) -> None:
        await self._send(await self._answer(self.number, asked), asked.ask)

    async def _send(self, message: FromAuthority, ask: int = 0) -> None:
        try:
            packet = packets.pack(message)
        except ValueError as too_large:
            log.error("gateway %d: %s", self.number, too_large)
            packet = packets.pack(Refused(ask, "internal_error", "the answer does not fit into a packet"))
        try:
            await self._link.send(packet)
        except NotSent as why:
            log.warning("gateway %d: an answer is lost: %s", self.number, why)

    def _in_background(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._paused and not self._closing and len(self._tasks) < MAX_QUESTIONS:
            self._paused = False
            self._link.resume()

    def _lost(self, why: str) -> None:
        log.info("gateway %d is gone: %s", self.number, why)
        for task in self._tasks:
            task.cancel()
        self._gone(self)
