"""A channel to an account's worker: the open one, or a new one from the spawner, which decides whether we may have it."""

import asyncio
import os
import socket

from teapot.channel import spawner_messages as messages
from teapot.gateway.failure import Failure
from teapot.gateway.peer import Peer
from teapot.gateway.worker_channel import WorkerChannel


class Spawner:
    def __init__(self) -> None:
        self._peer = Peer[socket.socket]("spawner", "spawner_unavailable", self._hear)
        self._channels: dict[str, WorkerChannel] = {}
        self._reaching: dict[str, asyncio.Future[WorkerChannel]] = {}

    @property
    def connected(self) -> bool:
        return self._peer.connected

    def connect(self, end: socket.socket) -> None:
        """Channels to workers stay: they are the workers', not the spawner's."""
        self._peer.connect(end)

    async def reach(self, account: str) -> WorkerChannel:
        channel = self._channels.get(account)
        if channel is not None and channel.usable:
            return channel
        reaching = self._reaching.get(account)
        if reaching is None:
            reaching = self._reaching[account] = asyncio.ensure_future(self._open(account))
            reaching.add_done_callback(lambda done: (self._reaching.pop(account, None), done.cancelled() or done.exception()))
        return await asyncio.shield(reaching)

    def give_up(self, channel: WorkerChannel) -> None:
        """It takes no more requests; what is open on it goes on."""
        channel.usable = False
        if self._channels.get(channel.account) is channel:
            del self._channels[channel.account]

    async def _open(self, account: str) -> WorkerChannel:
        end = await self._peer.ask(lambda spawner, number: messages.send(spawner, messages.Form(messages.REACH, number, 0.0, account)))
        channel = self._channels[account] = WorkerChannel(account, end)
        return channel

    def _hear(self, end: socket.socket) -> None:
        data, descriptors, _, _ = socket.recv_fds(end, messages.MAX_MESSAGE_BYTES, 4, socket.MSG_CMSG_CLOEXEC)
        if not data:
            raise OSError("end of stream")
        self._take(messages.unpack(data, (messages.REACHED, messages.REFUSED)), descriptors)

    def _take(self, form: messages.Form, descriptors: list[int]) -> None:
        awaited = self._peer.awaited(form.number)
        if awaited is None or form.kind == messages.REFUSED or len(descriptors) != 1:
            for descriptor in descriptors:
                os.close(descriptor)
            if awaited is not None:
                awaited.set_exception(Failure(form.name if form.kind == messages.REFUSED else "spawner_unavailable"))
        else:
            awaited.set_result(socket.socket(fileno=descriptors[0]))
