"""A child of the master: forked, made what it is to be, executed. The master keeps one end of a socket on which it only sends."""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

from teapot.channel import packets, start
from teapot.kernel import credentials
from teapot.master.service_accounts import Identity

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Child:
    role: str
    number: int  # of a gateway; for the others it counts how often they were started
    slot: int  # which of the gateways; 0 for the others
    pid: int
    master: socket.socket  # our end
    started: float = field(default_factory=time.monotonic)
    leaving: bool = False  # was told to end: that it does is no accident
    end_at: float | None = None  # a predecessor is told to leave at this time
    kill_at: float | None = None

    @property
    def title(self) -> str:
        return f"{self.role} {self.number}" if self.role == "gateway" else self.role

    def tell(self, what: start.FromMaster, descriptor: int) -> None:
        """Never waits: a child that does not read its introductions is of no use, and is killed."""
        try:
            packets.send(self.master, what, descriptors=(descriptor,))
        except (BlockingIOError, packets.PeerGone) as gone:
            log.error("%s does not listen to the master: %s", self.title, gone or "its queue is full")
            self.kill(signal.SIGKILL)

    def kill(self, number: signal.Signals) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass  # it has ended; its exit status comes

    def end(self, how: signal.Signals, within_s: float | None) -> None:
        self.leaving, self.end_at = True, None
        self.kill_at = None if within_s is None else time.monotonic() + within_s
        self.kill(how)


def execute(role: str, begin: start.Start, identity: Identity | None, keep: Iterable[int], capabilities: tuple[int, ...] = ()) -> int:
    """Fork and execute a role; returns its pid. `keep`: descriptors that it inherits beside its Start and its master socket.

    identity None: single-account mode, no change of account.
    """
    description = start.write(begin)
    pid = os.fork()
    if pid == 0:
        _become(role, identity, [description, begin.master, *keep], capabilities, description)
    os.close(description)
    return pid


def _become(role: str, identity: Identity | None, keep: list[int], capabilities: tuple[int, ...], description: int) -> NoReturn:
    try:
        os.setsid()
        os.chdir("/")
        os.umask(0o077)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if identity is None:
            credentials.give_up_capabilities()
        else:
            credentials.become_service(identity.uid, identity.gid, capabilities)
        _take_standard_descriptors()
        for descriptor in keep:
            os.set_inheritable(descriptor, True)
        command = [sys.executable, "-I", "-m", f"teapot.{role}", str(description)]
        os.execve(sys.executable, command, {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "1"})
    except BaseException as wrong:
        os.write(2, f"ERROR master: cannot become {role}: {wrong}\n".encode())
    finally:
        os._exit(71)  # EX_OSERR


def _take_standard_descriptors() -> None:
    nowhere = os.open("/dev/null", os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)


def own_end(descriptor: int) -> socket.socket:
    end = socket.socket(fileno=descriptor)
    end.setblocking(False)
    return end


def encode(children: Iterable[Child]) -> list[tuple[str, int, int, int, int, float, bool]]:
    """What a master that executes itself anew must know of its children."""
    return [(c.role, c.number, c.slot, c.pid, c.master.fileno(), c.started, c.leaving) for c in children]


def deadlines(children: Iterable[Child]) -> dict[int, tuple[float | None, float | None]]:
    """And of those that are to end, by pid: when they are told to, and when they are made to."""
    return {child.pid: (child.end_at, child.kill_at) for child in children}


def decode(kept: list[tuple[str, int, int, int, int, float, bool]], ends: dict[int, tuple[float | None, float | None]]) -> list[Child]:
    return [
        Child(role, number, slot, pid, own_end(descriptor), started, leaving, *ends.get(pid, (None, None)))
        for role, number, slot, pid, descriptor, started, leaving in kept
    ]
