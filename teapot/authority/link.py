"""One end of a SOCK_SEQPACKET pair in the event loop: hears what comes, sends in order, and waits for room no longer
than a bound.
"""

import asyncio
import socket
from collections.abc import Callable

from teapot.channel import packets, spawner_messages

ROOM_S = 5.0


class NotSent(Exception):
    """What was to be sent was not delivered."""


class Link:
    """hear reads one packet and acts on it; it raises BlockingIOError when there is none. lost is called once, when
    the peer is gone or broke the form.
    """

    def __init__(self, end: socket.socket, hear: Callable[[socket.socket], None], lost: Callable[[str], None]) -> None:
        self._end, self._hear, self._lost = end, hear, lost
        self._turn = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._room: asyncio.Future[None] | None = None
        end.setblocking(False)
        self._loop.add_reader(end, self._readable)

    async def send(self, packet: bytes) -> None:
        """NotSent when the peer is gone, or has not read for ROOM_S: then it may do so later, and the link stands."""
        try:
            async with asyncio.timeout(ROOM_S):
                async with self._turn:
                    await self._sent(packet)
        except TimeoutError as late:
            raise NotSent("the peer does not read") from late

    def pause(self) -> None:
        """Hear nothing for a while: what is sent waits in the socket, and then at the sender."""
        if self._open:
            self._loop.remove_reader(self._end)

    def resume(self) -> None:
        if self._open:
            self._loop.add_reader(self._end, self._readable)

    def close(self) -> None:
        """Nothing is heard any more, and lost is not called."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._end)
            if self._room:
                _fulfil(self._room)
            self._loop.remove_writer(self._end)
            self._end.close()

    async def _sent(self, packet: bytes) -> None:
        while self._open:
            try:
                packets.send_packed(self._end, packet)
                return
            except BlockingIOError:
                await self._until_room()
            except (packets.ChannelError, OSError) as gone:
                self._end_of(str(gone))
        raise NotSent("the peer is gone")

    async def _until_room(self) -> None:
        room = self._room = self._loop.create_future()
        self._loop.add_writer(self._end, _fulfil, room)
        try:
            await room
        finally:
            if self._open:
                self._loop.remove_writer(self._end)

    def _readable(self) -> None:
        try:
            self._hear(self._end)
        except BlockingIOError:
            return
        except (packets.ChannelError, spawner_messages.BadForm, OSError) as gone:
            self._end_of(str(gone))

    def _end_of(self, why: str) -> None:
        if self._open:
            self.close()
            self._lost(why)


def _fulfil(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
