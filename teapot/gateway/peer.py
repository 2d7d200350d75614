"""The authority or the spawner as a gateway sees it: it is asked on a socket of the master's making, and each answer names its question.

When it is gone, everything that was asked fails at once; the master introduces the next one.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from teapot.channel import packets, spawner_messages
from teapot.gateway.failure import Failure
from teapot.gateway.patience import Patience

log = logging.getLogger(__name__)

_PATIENCE_S = 15.0

T = TypeVar("T")
Send = Callable[[socket.socket, int], None]  # puts the question of that number


class Peer(Generic[T]):
    """hear(end) receives and deals with one message; problem is what a request fails with that this peer cannot answer."""

    def __init__(self, name: str, problem: str, hear: Callable[[socket.socket], None]) -> None:
        self._name, self._problem, self._hear = name, problem, hear
        self._loop = asyncio.get_running_loop()
        self._patience = Patience()
        self._end: socket.socket | None = None
        self._answers: dict[int, asyncio.Future[T]] = {}
        self._unsent: deque[tuple[Send, int]] = deque()  # more was asked at once than the kernel queues
        self._number = 0

    @property
    def connected(self) -> bool:
        return self._end is not None

    def connect(self, end: socket.socket) -> None:
        self.disconnect()
        end.setblocking(False)
        self._end = end
        self._loop.add_reader(end, self._read, end)

    def disconnect(self) -> None:
        if self._end is not None:
            self._loop.remove_reader(self._end)
            self._loop.remove_writer(self._end)
            self._end.close()
            self._end = None
        self._unsent.clear()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Failure(self._problem, f"the {self._name} is gone"))

    async def ask(self, send: Send) -> T:
        """Whoever hears the answer to that number resolves `awaited` of it."""
        if self._end is None:
            raise Failure(self._problem, "there is none at present")
        self._number += 1
        number = self._number
        answer: asyncio.Future[T] = self._loop.create_future()
        self._answers[number] = answer
        self._unsent.append((send, number))
        try:
            self._send_unsent(self._end)
            return await self._patience.wait(answer, _PATIENCE_S)
        except TimeoutError as failed:
            raise Failure(self._problem, "it does not answer") from failed
        finally:
            del self._answers[number]

    def _send_unsent(self, end: socket.socket) -> None:
        while self._unsent:
            send, number = self._unsent[0]
            try:
                if answer := self.awaited(number):
                    send(end, number)
            except BlockingIOError:
                self._loop.add_writer(end, self._send_unsent, end)
                return
            except (OSError, ValueError, packets.ChannelError) as failed:
                assert answer
                answer.set_exception(Failure(self._problem, f"{type(failed).__name__} {failed}"))
            self._unsent.popleft()
        self._loop.remove_writer(end)

    def awaited(self, number: int) -> "asyncio.Future[T] | None":
        """Whoever waits for that answer; None: nobody any more."""
        answer = self._answers.get(number)
        return None if answer is None or answer.done() else answer

    def _read(self, end: socket.socket) -> None:
        try:
            while True:
                self._hear(end)
        except BlockingIOError:
            return
        except (packets.ChannelError, spawner_messages.BadForm, OSError) as gone:
            log.warning("the %s is gone: %s", self._name, gone)
            self.disconnect()
