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
        self._receiver = packets.Receiver[FromAuthority](FromAuthority)
        self.hits = self.misses = 0

    @property
    def connected(self) -> bool:
        return self._peer.connected

    def connect(self, end: socket.socket) -> None:
        """A new authority: what the one before has said is void."""
        self._known.clear()
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
            asked.add_done_callback(lambda done: (self._asked.pop(key, None), done.cancelled() or done.exception()))
        return await asyncio.shield(asked)

    def forget(self, token: UnverifiedToken) -> None:
        """Ask again next time: the accounts are not to be reached any more."""
        self._known.pop(_key(token), None)

    async def _inquire(self, key: bytes, token: UnverifiedToken, request_id: str) -> Caller:
        caller = await self._peer.ask(lambda end, number: packets.send(end, Identify(number, request_id, token)))
        while len(self._known) >= MAX_CALLERS:
            del self._known[next(iter(self._known))]
        self._known[key] = _Known(caller, caller.cache_until)
        return caller

    def _hear(self, end: socket.socket) -> None:
        message = self._receiver.receive(end).message
        if isinstance(message, Forget):
            self._known.clear()
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
