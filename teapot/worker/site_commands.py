"""Programs of the site's that a worker has to ask, and may not run itself: the worker's end of a socket to the process that does.

That process (command_runner.py) is forked before the worker's cage closes, and only where a storage area needs one.
"""

import os
import socket
from collections.abc import Mapping

from teapot.channel import packets
from teapot.worker import command_runner
from teapot.worker.command_runner import Ask, Command, CommandFailed, Said

_LEEWAY_S = 1.0


class SiteCommands:
    """The worker's end; may be used by several threads."""

    def __init__(self, end: socket.socket, commands: Mapping[str, Command]) -> None:
        end.setblocking(False)
        self._end, self._commands = end, commands

    def fileno(self) -> int:
        """Readable when the process that runs them is gone."""
        return self._end.fileno()

    def __contains__(self, name: str) -> bool:
        return name in self._commands

    def output(self, name: str, path: bytes) -> bytes:
        """What the command wrote about the path. CommandFailed, after its time at the latest."""
        ours, theirs = packets.pair()
        with ours:
            with theirs:
                self._ask(Ask(name, path), theirs)
            ours.settimeout(self._commands[name].timeout_s + _LEEWAY_S)
            try:
                packet = packets.Receiver[Said](Said).receive(ours)
            except (OSError, packets.ChannelError) as failed:
                raise CommandFailed(f"{self._commands[name].arguments[0]}: no answer: {failed}") from failed
        if packet.message.failure:
            raise CommandFailed(packet.message.failure)
        return packet.body

    def _ask(self, ask: Ask, answer_to: socket.socket) -> None:
        try:
            packets.send(self._end, ask, descriptors=(answer_to.fileno(),))
        except BlockingIOError as full:
            raise CommandFailed("too many commands wait") from full
        except (packets.PeerGone, OSError) as gone:
            raise CommandFailed(f"nobody runs commands: {gone}") from gone


def begin(commands: Mapping[str, Command], account: str) -> SiteCommands | None:
    """Forks the process that runs them; None when there are none. To be called while the worker has one thread and no cage."""
    if not commands:
        return None
    ours, theirs = packets.pair()
    if os.fork() == 0:
        command_runner.serve(theirs.detach(), commands, account)
    theirs.close()
    return SiteCommands(ours, commands)
