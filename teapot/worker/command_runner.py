"""The process that runs programs of the site's for one worker: as its account, but outside its cage.

It knows the configured commands and runs nothing else: no shell, at most one path put in as an argument of its own, an environment and
a standard input without content, bounded in time, number and output. It reads nothing but what its worker asks, and ends with it.
"""

import contextlib
import os
import resource
import select
import signal
import socket
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from msgspec import Struct

from teapot.channel import packets
from teapot.kernel import process

_AT_ONCE = 4  # others wait, and their time runs
_MOST_BYTES = 64 * 1024  # of what a command writes
_MOST_COMPLAINT = 200
_END_S = 1.0  # for what was killed
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_STACK_BYTES = 512 * 1024


class Command(NamedTuple):
    arguments: tuple[str, ...]  # one of them may be {path}
    timeout_s: float
    good: tuple[int, ...] = (0,)  # exit statuses with which its output counts


class CommandFailed(Exception):
    """What an admin should know of it."""


class Ask(Struct, frozen=True, array_like=True):
    """Carries the socket on which it is to be answered."""

    name: str
    path: bytes


class Said(Struct, frozen=True, array_like=True):
    failure: str  # "": the output is in the body


def serve(end: int, commands: Mapping[str, Command], account: str) -> NoReturn:
    try:
        os.dup2(end, 3, inheritable=False)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        process.set_title("site commands", account)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        threading.stack_size(_STACK_BYTES)
        _Runner(commands).serve(socket.socket(fileno=3))
    finally:
        os._exit(1)


class _Runner:
    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._running: set[int] = set()
        self._lock = threading.Lock()

    def serve(self, end: socket.socket) -> None:
        """Until the worker is gone; then whatever runs is ended."""
        receiver = packets.Receiver[Ask](Ask)
        with contextlib.suppress(packets.ChannelError, OSError):
            while True:
                packet = receiver.receive(end, expected_descriptors=1)
                answer_to = socket.socket(fileno=packet.descriptors[0])
                threading.Thread(target=self._answer, args=(packet.message, answer_to), daemon=True).start()
        with self._lock:
            for pid in self._running:
                _kill(pid)
        os._exit(0)

    def _answer(self, ask: Ask, answer_to: socket.socket) -> None:
        command = self._commands[ask.name]
        deadline = time.monotonic() + command.timeout_s
        with answer_to, contextlib.suppress(OSError, packets.ChannelError):
            try:
                said, output = Said(""), self._run(command, ask.path, deadline)
            except CommandFailed as failed:
                said, output = Said(f"{command.arguments[0]}: {failed}"), b""
            packets.send(answer_to, said, output)

    def _run(self, command: Command, path: bytes, deadline: float) -> bytes:
        if not self._places.acquire(timeout=command.timeout_s):
            raise CommandFailed("other commands took all the time")
        try:
            return self._ended(_Child(command, path, self._running, self._lock), command, deadline)
        finally:
            self._places.release()

    def _ended(self, child: "_Child", command: Command, deadline: float) -> bytes:
        try:
            output, complaint = child.read(deadline)
            status = child.wait(deadline)
        finally:
            child.end()
        if status not in command.good:
            told = ascii(complaint[:_MOST_COMPLAINT].decode(errors="replace").strip())
            raise CommandFailed(f"{f'signal {-status}' if status < 0 else f'exit status {status}'} {told}")
        return output


class _Child:
    """One run, in a session of its own, so that what it starts ends with it."""

    def __init__(self, command: Command, path: bytes, running: set[int], lock: threading.Lock) -> None:
        self._running, self._lock = running, lock
        self._pipes = out, complaints = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        arguments = [path if one == "{path}" else os.fsencode(one) for one in command.arguments]
        actions = [(os.POSIX_SPAWN_DUP2, out[1], 1), (os.POSIX_SPAWN_DUP2, complaints[1], 2)]
        try:
            with lock:
                self.pid = os.posix_spawn(arguments[0], arguments, _ENVIRONMENT, file_actions=actions, setsid=True)
                running.add(self.pid)
        except OSError as failed:
            self._close()
            raise CommandFailed(f"cannot be run: {failed.strerror}") from failed
        for pipe in self._pipes:
            os.close(pipe[1])

    def read(self, deadline: float) -> tuple[bytes, bytes]:
        """Standard output and standard error, until both have ended."""
        poll, written = select.poll(), {pipe[0]: bytearray() for pipe in self._pipes}
        for descriptor in written:
            poll.register(descriptor, select.POLLIN)
        open_ones = set(written)
        while open_ones:
            left_s = deadline - time.monotonic()
            ready = poll.poll(max(0, int(1000 * left_s)))
            if not ready:
                raise CommandFailed("did not end in time")
            for descriptor, _ in ready:
                piece = os.read(descriptor, _MOST_BYTES)
                written[descriptor] += piece
                if not piece:
                    poll.unregister(descriptor)
                    open_ones.discard(descriptor)
                if len(written[descriptor]) > _MOST_BYTES:
                    raise CommandFailed(f"wrote more than {_MOST_BYTES} bytes")
        output, complaint = written.values()
        return bytes(output), bytes(complaint)

    def wait(self, deadline: float) -> int:
        """Its exit status; below 0: the signal that ended it."""
        while (ended := os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is None:
            if time.monotonic() > deadline:
                raise CommandFailed("did not end in time")
            time.sleep(0.001)
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def end(self) -> None:
        """Whatever is left of it is killed; one that hangs in the kernel is left to that."""
        for pipe in self._pipes:
            os.close(pipe[0])
        with self._lock:
            self._running.discard(self.pid)
            _kill(self.pid)  # its session may have others in it still
        with contextlib.suppress(CommandFailed):
            self.wait(time.monotonic() + _END_S)
            os.waitpid(self.pid, 0)

    def _close(self) -> None:
        for pipe in self._pipes:
            for descriptor in pipe:
                os.close(descriptor)


def _kill(session: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(session, signal.SIGKILL)
