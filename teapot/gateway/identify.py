"""Asks the authority who the bearer of a token is, and remembers its answers for a short time.

The cache is keyed by a hash of the token, bounded in number, never older than the answer allows, and void the moment the authority says so
or is lost.
"""

import asyncio
import hashlib
import socket
import time
from typing import NamedTuple

from teapot.channel import packets
from teapot.channel.authority_messages import Caller, Forget, FromAuthority, Identified, Identify, Refused
from teapot.gateway.failure import Failure
from teapot.gateway.peer import Peer
from teapot.gateway.receive import UnverifiedToken

MAX_CALLERS = 10_000


class _Known(NamedTuple):
    caller: Caller
    until: float


class Authority:
    def __init__(self) -> None:
        self._peer = Peer[Caller]("authority", "authority_unavailable", self._hear)
        self._known: dict[bytes, _Known] = {}
        self._asked: dict[bytes, asyncio.Future[Caller]] = {}
        self._forgotten = 0  # how often everything became void
        self._receiver = packets.Receiver[FromAuthority](FromAuthority)
        self.hits = self.misses = 0

    @property
    def connected(self) -> bool:
        return self._peer.connected

    def connect(self, end: socket.socket) -> None:
        """A new authority: what the one before has said is void."""
        self._forget_all()
        self._peer.connect(end)

    async def identify(self, token: UnverifiedToken, request_id: str) -> Caller:
        key = _key(token)
        known = self._known.get(key)
        if known and known.until > time.monotonic() and self._peer.connected:
            self.hits += 1
            return known.caller
        self.misses += 1
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.ensure_future(self._inquire(key, token, request_id))
            asked.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(asked)

    def _answered(self, key: bytes, done: asyncio.Future[Caller]) -> None:
        if self._asked.get(key) is done:
            del self._asked[key]
        if not done.cancelled():
            done.exception()  # whoever waited for it deals with it

    def forget(self, token: UnverifiedToken) -> None:
        """Ask again next time: the accounts are not to be reached any more."""
        self._known.pop(_key(token), None)

    def _forget_all(self) -> None:
        """An answer that is on its way serves who asked for it, and nobody later."""
        self._known.clear()
        self._asked.clear()
        self._forgotten += 1

    async def _inquire(self, key: bytes, token: UnverifiedToken, request_id: str) -> Caller:
        forgotten = self._forgotten
        caller = await self._peer.ask(lambda end, number: packets.send(end, Identify(number, request_id, token)))
        if forgotten == self._forgotten:
            self._remember(key, _Known(caller, caller.cache_until))
        return caller

    def _remember(self, key: bytes, known: _Known) -> None:
        while len(self._known) >= MAX_CALLERS:
            del self._known[next(iter(self._known))]
        self._known[key] = known

    def _hear(self, end: socket.socket) -> None:
        message = self._receiver.receive(end).message
        if isinstance(message, Forget):
            self._forget_all()
            return
        awaited = self._peer.awaited(message.ask)
        if awaited is None:
            return
        if isinstance(message, Identified):
            awaited.set_result(message.caller)
        else:
            assert isinstance(message, Refused)
            awaited.set_exception(Failure(message.problem, message.detail))


def _key(token: UnverifiedToken) -> bytes:
    return hashlib.sha256(token.encode("ascii")).digest()
