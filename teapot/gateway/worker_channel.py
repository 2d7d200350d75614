"""A channel to one account's worker. Whatever comes from it is hostile until it has been checked here.

Bounded messages (channel/packets.py), known ids in the right state, statuses in range, header fields of an allow-list without control
bytes, honest lengths, no descriptor. A breach breaks this channel and fails its own requests; nobody else notices.
"""

import asyncio
import contextlib
import logging
import re
import socket
from collections import deque
from typing import NoReturn

import msgspec

import teapot
from teapot.channel import packets
from teapot.channel.problems import PROBLEMS
from teapot.channel.worker_messages import (
    ANSWER_FIELDS,
    CHANNEL_VERSION,
    MAX_UNANSWERED,
    Answer,
    Cancel,
    Continue,
    End,
    FromWorker,
    Hello,
    NotServed,
)
from teapot.gateway.failure import Failure
from teapot.gateway.patience import Patience
from teapot.gateway.stream import Stream

log = logging.getLogger(__name__)

_VALUE = re.compile(rb"[\x20-\x7e\x80-\xff\t]{0,8192}")
_MESSAGES_A_TURN = 64
_OF_OTHERS = frozenset(code for code, problem in PROBLEMS.items() if problem.step in ("authenticate", "map_identity"))
_MOST_MESSAGES = 3  # that a worker may still send about an exchange that was given up: Continue, Answer, End


class Elsewhere(Exception):
    """The worker is leaving, or gone before anything was delivered: nothing was done, ask for another channel."""


class Exchange:
    """One request on the channel: what the worker may say next, and what it has said."""

    def __init__(self, number: int, patience: Patience) -> None:
        self.number = number
        self._patience = patience
        self.delivered = False  # the worker has the request, or will read it
        self.expects: tuple[type, ...] = (Answer, Continue, NotServed)
        self.inbox: deque[packets.Packet[FromWorker]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._failure: Exception | None = None

    def put(self, packet: packets.Packet[FromWorker]) -> None:
        self.inbox.append(packet)
        self._wake()

    def fail(self, failure: Exception) -> None:
        self._failure = self._failure or failure
        self._wake()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self, patience_s: float) -> packets.Packet[FromWorker]:
        """What the worker says next. Failure worker_silent, worker_lost, worker_misbehaved."""
        while not self.inbox:
            if self._failure:
                raise self._failure
            self._waiter = self._patience.future()
            try:
                await self._patience.wait(self._waiter, patience_s)
            except TimeoutError:
                raise Failure("worker_silent") from None
        return self.inbox.popleft()


class WorkerChannel:
    def __init__(self, account: str, end: socket.socket) -> None:
        self.account = account
        self.usable = True
        self.patience = Patience()
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._exchanges: dict[int, Exchange] = {}
        self._number = 0
        self._late = 0  # messages that may still come about exchanges that were given up
        self._slots = asyncio.Semaphore(MAX_UNANSWERED)
        self._receiver = packets.Receiver[FromWorker](FromWorker)
        self._writable: asyncio.Future[None] | None = None
        self._owed: list[Cancel] = []  # that the worker does not take yet
        self._greeted = False
        end.setblocking(False)
        self._loop.add_reader(end, self._read)
        self.send_now(Hello(CHANNEL_VERSION, teapot.__version__))  # a worker that is gone already shows at the first request

    async def begin(self, patience_s: float) -> Exchange:
        """A new Exchange, to be ended; one that is not over then is the caller's to cancel. At most MAX_UNANSWERED at a time."""
        if not self._slots.locked():
            await self._slots.acquire()
        else:
            await self._wait_for_slot(patience_s)
        if not self.usable:
            self._slots.release()
            raise Elsewhere
        self._number += 1
        exchange = self._exchanges[self._number] = Exchange(self._number, self.patience)
        return exchange

    def end(self, exchange: Exchange) -> None:
        self._slots.release()
        del self._exchanges[exchange.number]
        self._late += _MOST_MESSAGES if exchange.expects else 0

    async def _wait_for_slot(self, patience_s: float) -> None:
        try:
            async with asyncio.timeout(patience_s):
                await self._slots.acquire()
        except TimeoutError:
            raise Failure("worker_busy") from None

    async def send(self, message: msgspec.Struct, body: bytes = b"", descriptors: tuple[int, ...] = (), patience_s: float = 10.0) -> None:
        """Elsewhere: nothing was delivered."""
        try:
            packet = packets.pack(message, body)
        except ValueError as large:
            raise Failure("header_too_large", str(large)) from large
        while True:
            try:
                packets.send_packed(self._end, packet, descriptors)
                return
            except BlockingIOError:
                await self._until_writable(patience_s)
            except (packets.PeerGone, OSError) as gone:
                self.usable = False
                raise Elsewhere from gone

    async def send_stream(self, message: msgspec.Struct, stream: Stream) -> None:
        """A message that gives the worker its end of the stream."""
        assert stream.theirs is not None
        await self.send(message, descriptors=(stream.theirs.fileno(),))
        stream.given()

    def send_now(self, message: msgspec.Struct) -> None:
        """For what need not arrive, such as a cancellation."""
        with contextlib.suppress(OSError, packets.PeerGone):
            packets.send(self._end, message)

    def cancel(self, exchange: Exchange) -> None:
        """Whoever asked is gone. A worker that reads nothing at present is told later: it would hold a large answer ready for ever."""
        if exchange.delivered and exchange.expects:
            self._owed.append(Cancel(exchange.number))
            self._pay()

    def _pay(self) -> None:
        try:
            while self._owed:
                packets.send(self._end, self._owed[0])
                del self._owed[0]
        except BlockingIOError:
            self._watch_writable()
        except (OSError, packets.PeerGone):
            self._owed.clear()

    async def _until_writable(self, patience_s: float) -> None:
        writable = self._watch_writable()
        try:
            async with asyncio.timeout(patience_s):
                await asyncio.shield(writable)
        except TimeoutError:
            raise Failure("worker_silent", "it does not read its requests") from None

    def _watch_writable(self) -> "asyncio.Future[None]":
        if self._writable is None:
            self._writable = self._loop.create_future()
            self._loop.add_writer(self._end, self._is_writable)
        return self._writable

    def _is_writable(self) -> None:
        """Or closed: who waits finds that out when he tries."""
        self._loop.remove_writer(self._end)
        writable, self._writable = self._writable, None
        if writable and not writable.done():
            writable.set_result(None)
        self._pay()

    # --- what the worker says

    def _read(self) -> None:
        try:
            for _ in range(_MESSAGES_A_TURN):
                self._take(self._receiver.receive(self._end))
        except BlockingIOError:
            return
        except packets.PeerGone:
            self.close(Failure("worker_lost"))
        except (packets.BadPacket, OSError) as bad:
            log.error("the worker of %s breaks the channel's form: %s", self.account, bad)
            self.close(Failure("worker_misbehaved", str(bad)))

    def _take(self, packet: packets.Packet[FromWorker]) -> None:
        message = packet.message
        if isinstance(message, Hello):
            if self._greeted or message.version != CHANNEL_VERSION:
                raise packets.BadPacket(f"hello of version {message.version}")
            self._greeted = True
            return
        exchange = self._exchanges.get(message.id)
        if exchange is None:
            self._take_late(message)
            return
        if type(message) not in exchange.expects:
            raise packets.BadPacket(f"{type(message).__name__} out of turn")
        if isinstance(message, Answer):
            _check(message, packet.body)
        exchange.expects = (
            (Answer,) if isinstance(message, Continue) else (End,) if isinstance(message, Answer) and message.streamed else ()
        )
        exchange.put(packet)

    def _take_late(self, message: Answer | Continue | End | NotServed) -> None:
        """Of an exchange that was given up meanwhile. Each costs time, so there are no more than can be meant."""
        if not 0 < message.id <= self._number or not self._late:
            raise packets.BadPacket(f"{type(message).__name__} for the unknown id {message.id}")
        self._late -= 1

    def close(self, failure: Failure) -> None:
        self.usable = False
        if self._end.fileno() >= 0:
            self._loop.remove_reader(self._end)
            self._owed.clear()
            self._is_writable()
            self._end.close()
        for exchange in self._exchanges.values():
            exchange.fail(failure)


def _check(answer: Answer, body: bytes) -> None:
    failed = answer.status == 0 and not answer.streamed and not body
    if not (failed if answer.problem else _is_a_workers(answer.status)) or len(answer.detail) > 1000:
        _breach(f"status {answer.status}")
    if answer.problem in _OF_OTHERS:
        _breach(f"the problem {answer.problem}, which is not for a worker to find")
    for name, value in answer.fields:
        if name not in ANSWER_FIELDS or not _VALUE.fullmatch(value):
            _breach(f"the field {name[:40]!r}")
    if answer.length is not None and answer.length < 0:
        _breach("a negative length")
    if body and (answer.streamed or answer.length != len(body)):
        _breach(f"{len(body)} bytes instead of {answer.length}")


def _is_a_workers(status: int) -> bool:
    """No redirects: some clients send their token along wherever they are sent. No challenges."""
    return (200 <= status <= 299 or status == 304 or 400 <= status <= 599) and status != 401


def _breach(what: str) -> NoReturn:
    raise packets.BadPacket(f"an answer with {what}")
