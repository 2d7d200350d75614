"""What the authority tells the spawner (which gateway may reach which account; whose worker ends), and what it hears:
who was started.

Nothing is kept for a spawner that is not there: whoever wanted to tell it something is refused.
"""

import logging
import socket
from collections.abc import Callable

from teapot.authority.link import Link, NotSent
from teapot.authority.refusal import Refusal
from teapot.channel import spawner_messages
from teapot.channel.spawner_messages import Form

log = logging.getLogger(__name__)


class SpawnerLink:
    """started(account, fingerprint, pid) for each worker that serves; ended(account, pid) when it is gone."""

    def __init__(self, started: Callable[[str, str, int], None], ended: Callable[[str, int], None]) -> None:
        self._started, self._ended = started, ended
        self._link: Link | None = None

    @property
    def connected(self) -> bool:
        return self._link is not None

    def connect(self, end: socket.socket) -> None:
        """A new spawner, or a new socket to it: the old one is of no more use."""
        self.close()
        self._link = Link(end, self._hear, self._lost)

    def close(self) -> None:
        if self._link:
            self._link.close()
            self._link = None

    async def allow(self, gateway: int, account: str, until: float) -> None:
        """Returns when the spawner's socket has it: whatever is sent to a gateway afterwards is later. Refusal
        spawner_unavailable.
        """
        await self._tell(Form(spawner_messages.ALLOW, gateway, until, account))

    async def revoke(self, account: str) -> None:
        await self._tell(Form(spawner_messages.REVOKE, name=account))

    async def retire(self, account: str) -> None:
        await self._tell(Form(spawner_messages.RETIRE, name=account))

    async def _tell(self, form: Form) -> None:
        if self._link is None:
            raise Refusal("spawner_unavailable", "there is none at present")
        try:
            await self._link.send(spawner_messages.pack(form))
        except NotSent as lost:
            raise Refusal("spawner_unavailable", str(lost)) from lost

    def _hear(self, end: socket.socket) -> None:
        data = end.recv(spawner_messages.MAX_MESSAGE_BYTES + 1)
        if not data:
            raise OSError("end of stream")
        try:
            form = spawner_messages.unpack(data, (spawner_messages.STARTED, spawner_messages.ENDED))
        except (
            spawner_messages.BadForm
        ) as unknown:  # of a newer edition, perhaps: it is not for us to do without a spawner
            log.error("the spawner says what is not understood: %s", unknown)
            return
        account, _, fingerprint = form.name.partition("\0")
        if form.kind == spawner_messages.STARTED:
            self._started(account, fingerprint, form.number)
        else:
            self._ended(account, form.number)

    def _lost(self, why: str) -> None:
        log.warning("the spawner is gone: %s", why)
        self._link = None
