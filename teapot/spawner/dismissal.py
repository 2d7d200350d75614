"""Telling a worker what to do: take a channel, finish and leave, be gone at once. One that does not hear is ended by its deadline."""

import logging
import time

from teapot.channel import control_messages as control
from teapot.spawner.workers import State, Worker

log = logging.getLogger(__name__)

ABORT_S, LEAVE_S = 5.0, 5.0  # how long a worker may take to abort; to vanish after it closed its control socket


def tell(worker: Worker, what: control.Control, descriptor: int | None = None) -> None:
    try:
        control.send(worker.control, what, descriptor)
    except OSError as gone:
        lost(worker, str(gone))


def dismiss(worker: Worker, kind: int) -> None:
    """RETIRE: it finishes what is open. ABORT: it must be gone soon, or is killed."""
    if worker.state in (State.STARTING, State.SERVING):
        worker.move(State.LEAVING)
    if kind == control.ABORT and worker.kill_at is None:
        worker.kill_at = time.monotonic() + ABORT_S
    tell(worker, control.Control(kind))


def lost(worker: Worker, why: str) -> None:
    """Its control socket is of no more use: whatever it was doing, it is to vanish."""
    if worker.state in (State.STARTING, State.SERVING):
        log.info("worker %d of %s: %s", worker.pid, worker.account, why)
        worker.move(State.LEAVING)
    if worker.kill_at is None:
        worker.kill_at = time.monotonic() + LEAVE_S
