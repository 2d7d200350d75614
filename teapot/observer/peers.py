"""The processes that the observer asks how they are and what they have counted: gateways, the authority, the spawner.

One question to a peer at a time: one that does not read its questions is not sent more. A peer that breaks the form, answers what it was
not asked or counts nonsense is cut off, and missing from then on.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable

from teapot.channel import packets
from teapot.channel import spawner_messages as spawner
from teapot.channel.observer_messages import FromProcess, Scrape, Scraped
from teapot.observer import spawner_counts
from teapot.observer.totals import Source

log = logging.getLogger(__name__)

DEADLINE_S = 2.0


class Peer:
    """The other end of one socket. `over` is called when it has closed or was cut off."""

    def __init__(self, source: Source, end: socket.socket, over: "Callable[[Peer], None]") -> None:
        self.source = source
        self.ready = False
        self.answered: float | None = None  # when last
        self._end = end
        self._over = over
        self._asks = 0
        self._answer: asyncio.Future[Scraped] | None = None
        self._receiver = packets.Receiver[FromProcess](FromProcess)
        end.setblocking(False)
        asyncio.get_running_loop().add_reader(end, self._hear)

    async def ask(self) -> Scraped:
        """TimeoutError when it does not answer in time: the question stands, and the next call waits for the same answer."""
        if self._answer is None:
            self._answer = asyncio.get_running_loop().create_future()
            self._asks += 1
            self._send(self._asks)
        return await asyncio.wait_for(asyncio.shield(self._answer), DEADLINE_S)

    def close(self) -> None:
        if self._end.fileno() < 0:
            return
        asyncio.get_running_loop().remove_reader(self._end)
        self._end.close()
        if self._answer:
            self._answer.cancel()

    def _send(self, ask: int) -> None:
        try:
            if self.source.role == "spawner":
                spawner.send(self._end, spawner.Form(spawner.LIST, ask))
            else:
                packets.send(self._end, Scrape(ask))
        except (packets.PeerGone, OSError) as gone:
            self._cut(f"cannot be asked: {gone}")

    def _hear(self) -> None:
        try:
            scraped = self._received()
            if self._answer is None or scraped.ask != self._asks:
                raise packets.BadPacket("an answer without a question")
        except BlockingIOError:
            return
        except packets.PeerGone:
            self._cut("is gone")
        except (packets.BadPacket, spawner.BadForm, OSError) as wrong:
            self._cut(f"broke the form: {wrong}")
        else:
            self.ready, self.answered = scraped.ready, time.monotonic()
            answer, self._answer = self._answer, None
            answer.set_result(scraped)

    def _received(self) -> Scraped:
        if self.source.role != "spawner":
            return self._receiver.receive(self._end).message
        data = self._end.recv(spawner.MAX_MESSAGE_BYTES + 1)
        if not data:
            raise packets.PeerGone("end of stream")
        return spawner_counts.scraped(spawner.unpack(data, (spawner.LISTED,)))

    def _cut(self, why: str) -> None:
        log.info("%s %d %s", *self.source, why)
        self.close()
        self._over(self)


async def ask_all(peers: list[Peer]) -> list[tuple[Peer, Scraped]]:
    """Everybody at once; those that answered in time."""
    answers = await asyncio.gather(*(peer.ask() for peer in peers), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, TimeoutError | asyncio.CancelledError):
            raise answer
    return [(peer, answer) for peer, answer in zip(peers, answers, strict=True) if isinstance(answer, Scraped)]
