"""Asks PAM's account phase (accounts.pam_service) in a process of its own, before a worker is born and while it lives.

That process stays the spawner's account, gives up every capability, has no descriptor but /dev/null, and in place of all groups the
one that may read /etc/shadow: with no_new_privs, pam_unix's set-group-id program gains nothing by itself. Its only word is its exit
status, and it ends itself by an alarm. The PAM modules are in no other process: not in the spawner, not in a worker.
"""

import logging
import math
import os
import signal
from collections.abc import Callable, Iterable
from typing import NoReturn

from teapot.kernel import credentials, name_service, pam, process
from teapot.spawner.workers import State, Worker

log = logging.getLogger(__name__)

ALARM_S = 15
_BROKEN, _NO_DIRECTORY = 101, 102  # the status when nothing could be asked; when modules may have judged without the directory


class PhaseUnavailable(Exception):
    """PAM, one of its modules or a directory does not work: nobody knows whether the account is let in."""


def begin(service: str, account: str) -> int:
    """The pid of a process that asks; verdict() judges what it leaves."""
    pid = os.fork()
    if pid == 0:
        _ask(service, account)
    return pid


def verdict(status: int) -> str:
    """Of waitpid's status: why the account is not let in, or "". PhaseUnavailable."""
    code = os.waitstatus_to_exitcode(status)
    if code == pam.PERMITTED:
        return ""
    if code in pam.REFUSALS:
        return f"PAM: {pam.REFUSALS[code]} (accounts.pam_service)"
    raise PhaseUnavailable(_cause(code))


def objection(service: str, account: str) -> str:
    """Waits, for ALARM_S at most: not for the spawner itself, but for the child that is to be a worker. PhaseUnavailable."""
    return verdict(os.waitpid(begin(service, account), 0)[1])


def _cause(code: int) -> str:
    if code == -signal.SIGALRM:
        return "PAM's account phase does not answer"
    if code == pam.NO_SERVICE_FILE:
        return "accounts.pam_service has no file in /etc/pam.d"
    if code == _NO_DIRECTORY:
        return "PAM's account phase is not asked while SSSD does not answer"
    return f"PAM's account phase fails with status {code}"


def _ask(service: str, account: str) -> NoReturn:
    status = _BROKEN
    try:
        _let_go()
        process.set_title("account phase", account)
        credentials.become_account(os.getuid(), os.getgid(), _readers_of_shadow())
        status = _asked(service, account)
    finally:
        os._exit(status)


def _asked(service: str, account: str) -> int:
    """While SSSD is stopped its people are unknown to pam_unix, which is no reason to end their workers."""
    try:
        with name_service.whole():
            return pam.account_phase(service, account)
    except OSError:
        return _NO_DIRECTORY


def _let_go() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.alarm(ALARM_S)
    nowhere = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.chdir("/")
    os.setsid()


def _readers_of_shadow() -> tuple[int, ...]:
    """Where it is root's group alone (RHEL), nobody: pam_unix cannot judge local passwords there, and says so."""
    try:
        about = os.stat("/etc/shadow")
    except OSError:
        return ()
    return (about.st_gid,) if about.st_gid and about.st_mode & 0o040 else ()


class Rounds:
    """Asks again for the workers that serve, each every so often, one process for a worker at a time."""

    def __init__(self, service: str, every_s: float, refuse: Callable[[Worker, str], None]) -> None:
        self._service, self._every_s, self._refuse = service, every_s, refuse
        self._due: dict[int, float] = {}  # by the worker's pid
        self._asking: dict[int, Worker] = {}  # by the asking process's

    @property
    def asking(self) -> int:
        return len(self._asking)

    def begin(self, workers: Iterable[Worker], now: float) -> None:
        if not self._service:
            return
        serving = {worker.pid: worker for worker in workers if worker.state is State.SERVING}
        self._due = {pid: self._due.get(pid, worker.started + self._every_s) for pid, worker in serving.items()}
        asked_for = {worker.pid for worker in self._asking.values()}
        for pid, due in list(self._due.items()):
            if due > now:
                continue
            self._due[pid] = now + self._every_s
            if pid not in asked_for:
                self._ask(serving[pid])

    def next_in(self, now: float) -> float:
        """Seconds until somebody is to be asked for."""
        return max(0.0, min((due - now for due in self._due.values()), default=math.inf))

    def ended(self, pid: int, status: int) -> None:
        """A child that is no worker. Who cannot be judged now goes on: directories fail, and the next round is soon."""
        worker = self._asking.pop(pid, None)
        if worker is None or worker.state is not State.SERVING:
            return
        try:
            why = verdict(status)
        except PhaseUnavailable as unavailable:
            log.error("account %s: %s", worker.account, unavailable)
            return
        if why:
            self._refuse(worker, why)

    def _ask(self, worker: Worker) -> None:
        try:
            self._asking[begin(self._service, worker.account)] = worker
        except OSError as failed:
            log.error("account %s: nobody to ask PAM: %s", worker.account, failed)
