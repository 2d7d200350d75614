"""How a worker comes to life: fork, let go of everything inherited, look the account up, become it, prove it, serve it.

The look-up happens in the forked child, so that a directory that hangs blocks this child only. Whatever goes wrong in the child
is told on its control socket and ends the child; it can never come back into the spawner's code.
"""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterable
from typing import NoReturn

from teapot import accounts
from teapot.channel import control_messages as control
from teapot.channel import packets, spawner_messages
from teapot.channel.start import SpawnerStart
from teapot.kernel import credentials, process
from teapot.spawner import account_phase
from teapot.spawner.workers import Worker
from teapot.worker import life

_CONTROL = 3  # where the child keeps its control socket; 0, 1 and 2 are /dev/null


class Refused(Exception):
    """The child may not or cannot serve this account: a code of spawner_messages.REASONS, and why."""


def fork_worker(account: str, start: SpawnerStart, edition: str, inherited: Iterable[socket.socket]) -> Worker:
    """Fork a worker for the account; `inherited` are the spawner's own sockets, which the child gives up."""
    mine, theirs = packets.pair()
    pid = os.fork()
    if pid == 0:
        _be_born(account, start, edition, theirs, [*inherited, mine])
    theirs.close()
    mine.setblocking(False)
    return Worker(pid, account, mine, time.monotonic(), edition)


def _be_born(name: str, start: SpawnerStart, edition: str, inherited_control: socket.socket, others: Iterable[socket.socket]) -> NoReturn:
    try:
        channel = _let_go(inherited_control, others)
        with _told_on(channel):
            account = _become(name, start, channel)
            life.main(channel, account, start.areas, start.worker, edition)
    finally:
        os._exit(1)


def _let_go(inherited_control: socket.socket, others: Iterable[socket.socket]) -> socket.socket:
    """Close every descriptor but the control socket; no object of the spawner's may close one of the child's later."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for other in others:
        other.detach()
    nowhere = os.open("/dev/null", os.O_RDWR)
    os.dup2(inherited_control.detach(), _CONTROL, inheritable=False)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.closerange(_CONTROL + 1, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.chdir("/")
    os.umask(0o077)
    os.setsid()
    return socket.socket(fileno=_CONTROL)


@contextlib.contextmanager
def _told_on(channel: socket.socket):  # type: ignore[no-untyped-def]
    try:
        yield
    except Refused as refused:
        _tell_failure(channel, str(refused))
    except BaseException as wrong:
        _tell_failure(channel, f"worker_failed: {type(wrong).__name__}: {wrong}")


def _tell_failure(channel: socket.socket, reason: str) -> None:
    with contextlib.suppress(OSError):
        control.send(channel, control.Control(control.FAILED, text=reason))


def _become(name: str, start: SpawnerStart, channel: socket.socket) -> accounts.Account:
    account = _own_account(name, start) if start.single_account else _permitted_account(name, start)
    process.set_title("worker", account.name)
    if start.single_account:
        credentials.give_up_capabilities()
    else:
        credentials.become_account(account.uid, account.gid, account.groups)
    fingerprint = spawner_messages.fingerprint(account.uid, account.gid, account.groups)
    control.send(channel, control.Control(control.IDENTITY, account.uid, text=f"{fingerprint} {account.name}"))
    return account


def _own_account(name: str, start: SpawnerStart) -> accounts.Account:
    if name != start.single_account:
        raise Refused(f"account_refused: only {start.single_account} is served in single-account mode")
    return accounts.own()


def _permitted_account(name: str, start: SpawnerStart) -> accounts.Account:
    try:
        account, complaint = accounts.examine(name, start.accounts)
    except accounts.UnknownAccount as unknown:
        raise Refused(f"account_refused: the directory has no account {name}") from unknown
    except OSError as failed:
        raise Refused(f"directory_unavailable: {failed}") from failed
    complaint = complaint or _objection_of_pam(account.name, start.accounts.pam_service)
    if complaint:
        raise Refused(f"account_refused: {complaint}")
    return account


def _objection_of_pam(name: str, service: str) -> str:
    try:
        return account_phase.objection(service, name) if service else ""
    except account_phase.PhaseUnavailable as unavailable:
        raise Refused(f"directory_unavailable: {unavailable}") from unavailable
