"""The service as the master sees it: its children, who is linked with whom, and what is done when one of them ends.

A gateway, the authority or the observer that ends unexpectedly is started again, with back-off, and introduced to the others. The end of
the spawner is the end of all workers, so everything is ended, bounded, and started anew.
"""

import contextlib
import logging
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterable

from teapot.channel import packets, start
from teapot.kernel import credentials
from teapot.master import renewal
from teapot.master.backoff import Backoff
from teapot.master.children import Child, execute, own_end
from teapot.master.listening import CannotListen
from teapot.master.settings import Settings
from teapot.master.sockets import Sockets

log = logging.getLogger(__name__)

TICK_S = 0.5
ABORT_S = 7.0  # what a process may take to end once its master socket is closed or it was told to abort
HANDOVER_S = 2.0  # a new gateway is given so long to accept before its predecessor stops accepting

# Who talks with whom; each pair of processes has a socket of its own.
LINKS = {
    frozenset(("gateway", "spawner")),
    frozenset(("gateway", "authority")),
    frozenset(("gateway", "observer")),
    frozenset(("authority", "spawner")),
    frozenset(("authority", "observer")),
    frozenset(("spawner", "observer")),
}


class Service:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sockets = Sockets()
        self.children: dict[int, Child] = {}
        self.numbers: dict[str, int] = defaultdict(int)  # the last that was given to a process of the role
        self._backoff: dict[tuple[str, int], Backoff] = defaultdict(Backoff)
        self._due: dict[tuple[str, int], float] = {}  # role, slot: when it is to be started again

    # --- starting

    def start_all(self) -> None:
        for role in ("spawner", "authority", "observer"):
            self._start(role)
        for slot in range(self.settings.gateways):
            self._start("gateway", slot)

    def _start(self, role: str, slot: int = 0) -> Child:
        self.numbers[role] += 1
        number = self.numbers[role]
        mine, theirs = packets.pair()
        begin, keep = self._begin(role, slot, number, theirs.fileno())
        capabilities = credentials.SPAWNER_CAPABILITIES if role == "spawner" else ()
        pid = execute(role, begin, self.settings.identity(role), keep, capabilities)
        theirs.close()
        child = self.children[pid] = Child(role, number, slot, pid, own_end(mine.detach()))
        log.info("started %s as process %d", child.title, pid)
        self._introduce(child)
        return child

    def _begin(self, role: str, slot: int, number: int, master: int) -> tuple[start.Start, Iterable[int]]:
        if role == "gateway":
            self.sockets.open_slot(slot, self.settings.configuration.server.listen)
            listeners = self.sockets.of(slot)
            tls = [descriptor for descriptor in self.settings.tls if descriptor >= 0]
            return self.settings.gateway(master, number, listeners), [*listeners, *tls]
        if role == "observer":
            listeners = self.sockets.of_observer()
            return self.settings.observer(master, number, listeners), listeners
        if role == "spawner":
            return self.settings.spawner(master, number), ()
        return self.settings.authority(master, number), [self.settings.secrets]

    def _introduce(self, newcomer: Child) -> None:
        for other in list(self.children.values()):
            if frozenset((newcomer.role, other.role)) in LINKS and (not other.leaving or other.role == "gateway"):
                _link(newcomer, other)

    # --- running

    def run(self) -> int:
        """Until SIGTERM or SIGINT; the exit status."""
        while True:
            number = signal.sigtimedwait((signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP), TICK_S)
            if number is not None and number.si_signo in (signal.SIGTERM, signal.SIGINT):
                return self._end()
            if number is not None and number.si_signo == signal.SIGHUP:
                renewal.renew(self)
            for child, status in self._reap():
                self._ended(child, status)
            self._keep_time()

    def _reap(self) -> list[tuple[Child, int]]:
        ended = []
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                child = self.children.pop(pid, None)
                if child:  # otherwise a worker that had lost its spawner
                    child.master.close()
                    ended.append((child, os.waitstatus_to_exitcode(status)))
        return ended

    def _ended(self, child: Child, code: int) -> None:
        if child.leaving:
            log.info("%s has left", child.title)
            return
        log.error("%s ended unexpectedly (%s)", child.title, f"signal {-code}" if code < 0 else f"exit status {code}")
        if child.role == "spawner":
            self._end_all_processes(signal.SIGTERM, ABORT_S)
        self._plan_start(child)

    def _plan_start(self, child: Child) -> None:
        key = (child.role, child.slot)
        delay = self._backoff[key].delay_s(time.monotonic() - child.started)
        self._due[key] = time.monotonic() + delay
        if child.role == "gateway" and delay:
            self.sockets.close_slot(child.slot)

    def _keep_time(self) -> None:
        now = time.monotonic()
        for child in list(self.children.values()):
            if child.end_at is not None and child.end_at <= now:
                child.end(signal.SIGUSR1, within_s=None)
            if child.kill_at is not None and child.kill_at <= now:
                log.error("%s does not end: killing it", child.title)
                child.kill_at = None
                child.kill(signal.SIGKILL)
        if ("spawner", 0) in self._due:
            self._start_anew(now)
        else:
            self._start_due(now)

    def _start_anew(self, now: float) -> None:
        if not self.children and self._due["spawner", 0] <= now:
            self._due.clear()
            self.start_all()

    def _start_due(self, now: float) -> None:
        for role, slot in [key for key, due in self._due.items() if due <= now]:
            del self._due[role, slot]
            try:
                self._start(role, slot)
            except (OSError, CannotListen) as failed:
                log.error("cannot start %s: %s", role, failed)
                self._due[role, slot] = now + self._backoff[role, slot].delay_s(0.0)

    # --- ending

    def _end(self) -> int:
        """No new connections; requests in flight finish, bounded; then everybody else goes, the workers' spawner last."""
        log.info("ending")
        self.sockets.close_gateways()
        patience = self.settings.configuration.server.shutdown_timeout_s + ABORT_S
        for roles in (("gateway",), ("observer", "authority"), ("spawner",)):
            for child in self._of(*roles):
                child.end(signal.SIGTERM, patience if "gateway" in roles else ABORT_S)
            self._wait_for(*roles)
        return 0

    def _end_all_processes(self, how: signal.Signals, within_s: float) -> None:
        for child in self.children.values():
            child.end(how, within_s)

    def _of(self, *roles: str) -> list[Child]:
        return [child for child in self.children.values() if child.role in roles]

    def _wait_for(self, *roles: str) -> None:
        while self._of(*roles):
            signal.sigtimedwait((signal.SIGCHLD,), TICK_S)
            self._reap()
            now = time.monotonic()
            for child in self._of(*roles):
                if child.kill_at is not None and child.kill_at <= now:
                    child.kill(signal.SIGKILL)

    # --- renewing

    def renew_all(self) -> None:
        """New processes beside the old ones, which finish what they have and leave; the spawner executes itself anew."""
        if not self._of("spawner"):  # it has ended, and everybody is to be started anew
            self._end_all_processes(signal.SIGTERM, ABORT_S)
            self._due["spawner", 0] = time.monotonic()
            return
        try:
            self.sockets.adapt(self.settings)
        except CannotListen as failed:
            log.error("not renewed, the service goes on as it was: %s", failed)
            return
        predecessors = [child for child in self.children.values() if not child.leaving and child.role != "spawner"]
        for spawner in self._of("spawner"):
            renewal.renew_spawner(spawner, self.settings)
        for role in ("authority", "observer"):
            self._start(role)
        for slot in range(self.settings.gateways):
            self._start("gateway", slot)
        for child in predecessors:
            child.leaving, child.end_at = True, time.monotonic() + HANDOVER_S


def _link(one: Child, other: Child) -> None:
    ends = packets.pair()
    with ends[0], ends[1]:
        one.tell(start.Peer(other.role, other.number), ends[0].fileno())
        other.tell(start.Peer(one.role, one.number), ends[1].fileno())
