"""A spawner executes itself anew, with new software and settings, and keeps its pid, its workers, its rows and its sockets.

What it knows goes through a sealed memfd; the descriptors of its sockets stay open over the execve. Its three capabilities are ambient and
stay as well. Workers of the old edition finish what is open and leave.
"""

import os
import socket
import sys
import time
from typing import TYPE_CHECKING, NoReturn

import msgspec

from teapot.channel import start
from teapot.channel.spawner_messages import Form
from teapot.channel.start import SpawnerStart
from teapot.kernel import memfd
from teapot.spawner.desk import Ask
from teapot.spawner.peers import Peer
from teapot.spawner.workers import State, Worker

if TYPE_CHECKING:
    from teapot.spawner.loop import Spawner


class _KeptWorker(msgspec.Struct):
    pid: int
    account: str
    control: int
    started: float
    edition: str
    state: str
    other_names: list[str]
    uid: int
    fingerprint: str
    idle_since: float | None
    kill_at: float | None
    gateways: list[int]
    asked_to_leave: bool = False
    has_failed: bool = False
    stayed: float = 0.0


class _Kept(msgspec.Struct):
    rows: list[tuple[int, str, float, int]]
    workers: list[_KeptWorker]
    peers: list[tuple[str, int, int]]
    waiting: list[tuple[int, int, str, float]]
    started: int
    start_seconds: float
    ended_unexpectedly: int
    refused: dict[str, int]
    unsent: dict[int, list[tuple[int, int, float, str]]] = {}  # by the authority's number


def renew(begin: int, spawner: "Spawner") -> NoReturn:
    """Never returns: the process goes on as take_over in the new program."""
    kept = memfd.sealed("teapot-spawner", msgspec.json.encode(_keep(spawner)))
    begin = start.write(msgspec.structs.replace(start.read(begin, SpawnerStart), master=spawner.master.fileno()))
    for descriptor in (begin, kept, spawner.master.fileno(), *_descriptors(spawner)):
        os.set_inheritable(descriptor, True)
    os.execv(sys.executable, [sys.executable, "-I", "-m", "teapot.spawner", str(begin), str(kept)])


def take_over(descriptor: int, spawner: "Spawner") -> None:
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        kept = msgspec.json.decode(file.read(), type=_Kept)
    desk = spawner.desk
    desk.rows.load(kept.rows)
    desk.waiting = [Ask(*ask) for ask in kept.waiting]
    desk.counts.started, desk.counts.start_seconds = kept.started, kept.start_seconds
    desk.counts.ended_unexpectedly = kept.ended_unexpectedly
    desk.counts.refused.update(kept.refused)
    for role, number, peer in kept.peers:
        desk.peers.add(Peer(role, number, _socket(peer)))
    for number, forms in kept.unsent.items():
        desk.peers["authority", number].unsent.extend(Form(*form) for form in forms)
    for worker in kept.workers:
        desk.workers.add(_revived(worker))
    os.set_inheritable(spawner.master.fileno(), False)
    desk.retire_editions_before(spawner.edition)


def _keep(spawner: "Spawner") -> _Kept:
    desk, counts = spawner.desk, spawner.desk.counts
    return _Kept(
        rows=desk.rows.dump(),
        workers=[_kept(worker) for worker in desk.workers if worker.control.fileno() >= 0 or _close_gone(worker)],
        peers=[(peer.role, peer.number, peer.socket.fileno()) for peer in desk.peers.values()],
        waiting=[(ask.gateway, ask.number, ask.account, ask.deadline) for ask in desk.waiting],
        started=counts.started,
        start_seconds=counts.start_seconds,
        ended_unexpectedly=counts.ended_unexpectedly,
        refused=dict(counts.refused),
        unsent={peer.number: [tuple(form) for form in peer.unsent] for peer in desk.peers.values() if peer.unsent},  # type: ignore[misc]
    )


def _close_gone(worker: Worker) -> bool:
    """A worker whose control socket is closed is kept with one that nobody holds: it is only waited for."""
    worker.control, other = socket.socketpair(type=socket.SOCK_SEQPACKET)
    other.close()
    worker.kill_at = worker.kill_at or time.monotonic()
    return True


def _kept(worker: Worker) -> _KeptWorker:
    return _KeptWorker(
        worker.pid, worker.account, worker.control.fileno(), worker.started, worker.edition, worker.state.value,
        list(worker.other_names), worker.uid, worker.fingerprint, worker.idle_since, worker.kill_at, list(worker.gateways),
        worker.asked_to_leave, worker.has_failed, worker.stayed,
    )  # fmt: skip


def _revived(kept: _KeptWorker) -> Worker:
    return Worker(
        kept.pid, kept.account, _socket(kept.control), kept.started, kept.edition, State(kept.state), set(kept.other_names),
        kept.uid, kept.fingerprint, kept.idle_since, kept.kill_at, kept.asked_to_leave, kept.has_failed, set(kept.gateways), kept.stayed,
    )  # fmt: skip


def _socket(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    return socket.socket(fileno=descriptor)


def _descriptors(spawner: "Spawner") -> list[int]:
    peers = [peer.socket.fileno() for peer in spawner.desk.peers.values()]
    return peers + [worker.control.fileno() for worker in spawner.desk.workers]
