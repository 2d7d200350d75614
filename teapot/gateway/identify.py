"""Asks the authority who the bearer of a token is, and remembers its answers for a short time.

The cache is keyed by a hash of the token, bounded in number, never older than the answer allows, and void the moment the authority says so
or is lost.
"""

import asyncio
import hashlib
import logging
import socket
import time
from typing import NamedTuple

from teapot.channel import packets
from teapot.channel.authority_messages import Caller, Forget, FromAuthority, Identified, Identify, Refused
from teapot.gateway.failure import Failure
from teapot.gateway.receive import UnverifiedToken

log = logging.getLogger(__name__)

MAX_CALLERS = 10_000
_PATIENCE_S = 15.0


class _Known(NamedTuple):
    caller: Caller
    until: float


class Authority:
    def __init__(self) -> None:
        self._end: socket.socket | None = None
        self._known: dict[bytes, _Known] = {}
        self._asked: dict[bytes, asyncio.Future[Caller]] = {}
        self._answers: dict[int, asyncio.Future[Caller]] = {}
        self._ask = 0
        self._receiver = packets.Receiver[FromAuthority](FromAuthority)
        self.hits = self.misses = 0

    @property
    def connected(self) -> bool:
        return self._end is not None

    def connect(self, end: socket.socket) -> None:
        """A new authority: what the one before has said is void."""
        self.disconnect()
        end.setblocking(False)
        self._end = end
        asyncio.get_running_loop().add_reader(end, self._read, end)

    def disconnect(self) -> None:
        if self._end is not None:
            asyncio.get_running_loop().remove_reader(self._end)
            self._end.close()
            self._end = None
        self._known.clear()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Failure("authority_unavailable", "the authority is gone"))

    async def identify(self, token: UnverifiedToken, request_id: str) -> Caller:
        key = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        known = self._known.get(key)
        if known and known.until > time.monotonic():
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
        self._known.pop(hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest(), None)

    async def _inquire(self, key: bytes, token: UnverifiedToken, request_id: str) -> Caller:
        if self._end is None:
            raise Failure("authority_unavailable", "there is none at present")
        self._ask += 1
        ask = self._ask
        answer = self._answers[ask] = asyncio.get_running_loop().create_future()
        try:
            packets.send(self._end, Identify(ask, request_id, token))
            async with asyncio.timeout(_PATIENCE_S):
                caller: Caller = await answer
        except (TimeoutError, BlockingIOError, packets.PeerGone, ValueError) as failed:
            raise Failure("authority_unavailable", f"{type(failed).__name__} {failed}") from failed
        finally:
            del self._answers[ask]
        while len(self._known) >= MAX_CALLERS:
            del self._known[next(iter(self._known))]
        self._known[key] = _Known(caller, caller.cache_until)
        return caller

    def _read(self, end: socket.socket) -> None:
        try:
            while True:
                self._take(self._receiver.receive(end).message)
        except BlockingIOError:
            return
        except (packets.ChannelError, OSError) as gone:
            log.warning("the authority is gone: %s", gone)
            self.disconnect()

    def _take(self, message: FromAuthority) -> None:
        if isinstance(message, Forget):
            self._known.clear()
            return
        answer = self._answers.get(message.ask)
        if answer is None or answer.done():
            return
        if isinstance(message, Identified):
            answer.set_result(message.caller)
        else:
            assert isinstance(message, Refused)
            answer.set_exception(Failure(message.problem, message.detail))
