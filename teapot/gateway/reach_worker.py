"""A channel to an account's worker: the open one, or a new one from the spawner, which decides whether we may have it."""

import asyncio
import logging
import os
import socket

from teapot.channel import spawner_messages as messages
from teapot.gateway.failure import Failure
from teapot.gateway.worker_channel import WorkerChannel

log = logging.getLogger(__name__)

_PATIENCE_S = 15.0


class Spawner:
    def __init__(self) -> None:
        self._end: socket.socket | None = None
        self._channels: dict[str, WorkerChannel] = {}
        self._reaching: dict[str, asyncio.Future[WorkerChannel]] = {}
        self._answers: dict[int, asyncio.Future[socket.socket]] = {}
        self._ask = 0

    @property
    def connected(self) -> bool:
        return self._end is not None

    def connect(self, end: socket.socket) -> None:
        self.disconnect()
        end.setblocking(False)
        self._end = end
        asyncio.get_running_loop().add_reader(end, self._read, end)

    def disconnect(self) -> None:
        if self._end is not None:
            asyncio.get_running_loop().remove_reader(self._end)
            self._end.close()
            self._end = None
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Failure("spawner_unavailable", "the spawner is gone"))

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
        if self._end is None:
            raise Failure("spawner_unavailable", "there is none at present")
        self._ask += 1
        ask = self._ask
        answer = self._answers[ask] = asyncio.get_running_loop().create_future()
        try:
            messages.send(self._end, messages.Form(messages.REACH, ask, 0.0, account))
            async with asyncio.timeout(_PATIENCE_S):
                end = await answer
        except (TimeoutError, OSError) as failed:
            raise Failure("spawner_unavailable", f"{type(failed).__name__} {failed}") from failed
        finally:
            del self._answers[ask]
        channel = self._channels[account] = WorkerChannel(account, end)
        return channel

    def _read(self, end: socket.socket) -> None:
        try:
            while True:
                data, descriptors, _, _ = socket.recv_fds(end, messages.MAX_MESSAGE_BYTES, 4, socket.MSG_CMSG_CLOEXEC)
                if not data:
                    raise OSError("end of stream")
                self._take(messages.unpack(data, (messages.REACHED, messages.REFUSED)), descriptors)
        except BlockingIOError:
            return
        except (OSError, messages.BadForm) as gone:
            log.warning("the spawner is gone: %s", gone)
            self.disconnect()

    def _take(self, form: messages.Form, descriptors: list[int]) -> None:
        answer = self._answers.get(form.number)
        if answer is None or answer.done() or form.kind == messages.REFUSED:
            for descriptor in descriptors:
                os.close(descriptor)
            if answer is not None and not answer.done():
                answer.set_exception(Failure(form.name))
        elif len(descriptors) != 1:
            answer.set_exception(Failure("spawner_unavailable", "a channel without its descriptor"))
        else:
            answer.set_result(socket.socket(fileno=descriptors[0]))
