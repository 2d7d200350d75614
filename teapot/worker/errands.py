"""Runs the site's commands that tell of space, for one worker, in a process of its own beside the worker's cage.

Same account, no capability, no new privileges, no descriptor but one socket to the worker; forked before the cage is closed, because a
command needs files, and often sockets, that a worker must not have. It obeys nothing but the number of a storage area, and runs what root's
configuration says for that. What a command prints is read in the cage. It ends when the worker does.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from typing import NoReturn

from teapot.accounts import Account
from teapot.kernel import process
from teapot.space import command, placeholders
from teapot.space.amounts import NotKnown
from teapot.space.formats import COMMANDS, GOOD
from teapot.worker import area_roots
from teapot.worker.area import Area

_PATIENCE_S = 5.0  # beyond the command's own time
_PRINTED, _FAILED = b"+", b"-"


def begin(areas: Iterable[Area], account: Account) -> socket.socket | None:
    """Gives the areas whose space a command tells somebody to ask; the worker's end, None when there are none. Before the cage."""
    with_command = [area for area in areas if area.settings.space.source in COMMANDS]
    if not with_command:
        return None
    jobs = [_Job(area, account) for area in with_command]
    mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        mine.detach()
        _run(its, jobs, account)
    its.close()
    one_at_a_time = threading.Lock()
    for number, area in enumerate(with_command):
        area.gauge.ask = _asker(mine, number, area.settings.space.timeout_s + _PATIENCE_S, one_at_a_time)
    return mine


def _asker(end: socket.socket, number: int, patience_s: float, one_at_a_time: threading.Lock) -> Callable[[], bytes]:
    def ask() -> bytes:
        with one_at_a_time:
            try:
                end.settimeout(patience_s)
                end.send(b"%d" % number)
                answer = end.recv(command.MOST_BYTES + 2)
            except OSError as error:  # an answer that is late must not be taken for the next question's
                end.close()
                raise NotKnown(f"nobody runs the command: {error}") from error
        if not answer.startswith(_PRINTED):
            raise NotKnown(answer[1:].decode("utf-8", "replace") or "nobody runs the command")
        return answer[1:]

    return ask


class _Job:
    def __init__(self, area: Area, account: Account) -> None:
        settings = area.settings.space
        self._command = settings.command or COMMANDS[settings.source]
        self._timeout_s, self._good = settings.timeout_s, GOOD[settings.source]
        root = area_roots.resolve(area.settings.root, account)
        self._values = placeholders.values(account, root, area.root, area.settings.group)

    def output(self, worker: int) -> bytes:
        return command.printed(command.filled(self._command, self._values), self._timeout_s, self._good, while_silent=worker)


def _run(worker: socket.socket, jobs: list[_Job], account: Account) -> NoReturn:
    try:
        kept = os.dup2(worker.detach(), 3, inheritable=False)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        process.set_title("errands", account.name)
        _obey(socket.socket(fileno=kept), jobs)
    finally:
        os._exit(0)


def _obey(worker: socket.socket, jobs: list[_Job]) -> None:
    while asked := worker.recv(16):
        try:
            answer = _PRINTED + jobs[int(asked)].output(worker.fileno())
        except (NotKnown, ValueError, IndexError) as failed:
            answer = _FAILED + str(failed).encode("utf-8", "replace")[: command.MOST_BYTES]
        worker.send(answer)
