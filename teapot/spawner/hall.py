"""The spawner's dealings with its children: what they say, that they are gone, and that they must go.

A worker is somebody's own process: what it says after its identity (which the spawner's own code told) only ever affects its own account.
"""

import logging
import os
import signal
import time

from teapot.channel import control_messages as control
from teapot.channel import spawner_messages as messages
from teapot.spawner.account_phase import Rounds
from teapot.spawner.desk import Desk
from teapot.spawner.dismissal import lost
from teapot.spawner.workers import State, Worker

log = logging.getLogger(__name__)

FAILED_S = 1.0  # for a worker that has told why it dies, to be dead
MESSAGES_A_SECOND = 200  # more of one worker, and it is not heard any more


class Hall:
    def __init__(self, desk: Desk, rounds: Rounds) -> None:
        self._desk, self._rounds = desk, rounds
        self._heard: dict[int, tuple[int, int]] = {}  # pid: (second, messages in it)

    def hear(self, worker: Worker) -> bool:
        """All that a worker has said. False: its control socket is of no more use."""
        try:
            while True:
                self._hear_one(worker)
        except BlockingIOError:
            return True
        except (OSError, EOFError, control.BadControl) as gone:
            lost(worker, str(gone))
            return False

    def _hear_one(self, worker: Worker) -> None:
        received = control.receive(worker.control, control.TO_SPAWNER)
        if received is None:
            raise EOFError("has closed its control socket")
        if self._too_talkative(worker):
            raise control.BadControl("talks too much")
        self._deal_with(worker, received[0])

    def _too_talkative(self, worker: Worker) -> bool:
        second = int(time.monotonic())
        last, number = self._heard.get(worker.pid, (second, 0))
        self._heard[worker.pid] = (second, number + 1 if last == second else 1)
        return self._heard[worker.pid][1] > MESSAGES_A_SECOND

    def _deal_with(self, worker: Worker, said: control.Control) -> None:
        starting = worker.state is State.STARTING
        if starting and said.kind == control.IDENTITY and worker.uid < 0:
            self._identified(worker, said)
        elif starting and said.kind == control.READY and worker.uid >= 0:
            self._ready(worker, said)
        elif starting and said.kind == control.FAILED:
            self._failed(worker, said.text)
        elif said.kind == control.LEAVING:
            self._leaving(worker)
        elif said.kind == control.IDLE_SINCE:
            now = time.monotonic()
            self._stays(worker, said.until if said.until < now else now)  # NaN is no time either
        elif said.kind == control.BUSY:
            self._stays(worker, None)
        else:
            raise control.BadControl(f"kind {said.kind} while {worker.state.value}")

    def _identified(self, worker: Worker, said: control.Control) -> None:
        """Told by the spawner's own code: who the directory says that it is. One account has one worker, however it is spelt."""
        worker.uid, (worker.fingerprint, _, name) = said.number, said.text.partition(" ")
        if name and name != worker.account:
            worker.other_names.add(worker.account)
            worker.account = name
        twin = self._desk.workers.twin(worker)
        if twin is None:
            return
        if twin.fingerprint != worker.fingerprint:
            self._desk.replace(twin)
            return
        log.info("%s is another name of %s", worker.account, twin.account)
        twin.other_names |= {worker.account, *worker.other_names} - {twin.account}
        worker.move(State.LEAVING)
        self._kill(worker)

    def _ready(self, worker: Worker, said: control.Control) -> None:
        worker.move(State.SERVING)
        self._desk.started(worker)
        log.info("worker %d serves %s (%s)", worker.pid, worker.account, said.text or f"Landlock ABI {said.number}")

    def _failed(self, worker: Worker, text: str) -> None:
        reason = text.partition(":")[0]
        log.warning("no worker for %r: %s", worker.account, text)
        worker.move(State.LEAVING)
        worker.has_failed, worker.kill_at = True, time.monotonic() + FAILED_S
        if reason == "account_refused":
            self._desk.refusals.note(worker.names, time.monotonic())
        self._refuse_all(worker, reason if reason in messages.REASONS else "worker_failed")

    def _refuse_all(self, worker: Worker, reason: str) -> None:
        for name in worker.names:
            self._desk.refuse_all(name, reason)

    def _stays(self, worker: Worker, idle_since: float | None) -> None:
        """Also the answer of one that was asked to leave, and has been at work since it last told: others are asked before it again."""
        if worker.asked_to_leave and worker.state is State.SERVING:
            worker.asked_to_leave, worker.kill_at = False, None
            worker.stayed = time.monotonic()
        worker.idle_since = None if idle_since is None else max(idle_since, worker.stayed)

    def _leaving(self, worker: Worker) -> None:
        if worker.state in (State.STARTING, State.SERVING):
            worker.move(State.LEAVING)

    # --- ends

    def reap(self) -> list[Worker]:
        """The workers that have ended since the last call."""
        ended = []
        while len(self._desk.workers) or self._rounds.asking:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            worker = self._desk.workers.get(pid)
            if worker:
                if worker.control.fileno() >= 0:
                    self.hear(worker)  # its last words, such as why it failed
                ended.append(worker)
                self._mourn(worker, status)
                self._desk.ended(worker)
            else:
                self._rounds.ended(pid, status)
            self._desk.workers.remove(pid)
            self._heard.pop(pid, None)
        return ended

    def _mourn(self, worker: Worker, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        killed = worker.state is State.STUCK and code == -signal.SIGKILL
        if killed or worker.has_failed or (code == 0 and worker.state is not State.STARTING):
            log.info("worker %d of %s has left", worker.pid, worker.account)
            return
        self._desk.counts.ended_unexpectedly += 1
        log.warning("worker %d of %s ended unexpectedly: %s", worker.pid, worker.account, _cause(code))
        if worker.state is State.STARTING:
            self._refuse_all(worker, "worker_failed")

    def kill_overdue(self, now: float) -> None:
        for worker in self._desk.workers:
            if worker.state is State.STARTING and worker.started + self._desk.patience_s < now:
                log.warning("worker %d of %s did not get ready in time", worker.pid, worker.account)
                worker.kill_at = now
            if worker.kill_at is not None and worker.kill_at <= now and worker.state is not State.STUCK:
                self._kill(worker)

    def _kill(self, worker: Worker) -> None:
        """It is not waited for: a process that hangs in the kernel stays, as STUCK, until its file system answers."""
        os.kill(worker.pid, signal.SIGKILL)
        worker.kill_at = worker.kill_at or time.monotonic()
        worker.move(State.STUCK)

    def end_all(self, deadline: float) -> None:
        """Everything ends: workers see the end of their control sockets, and are killed if that does not help."""
        for worker in self._desk.workers:
            worker.control.close()
        while len(self._desk.workers) and time.monotonic() < deadline:
            self.reap()
            time.sleep(0.02)
        for worker in self._desk.workers:
            if worker.state is not State.STUCK:
                self._kill(worker)
        self.reap()


def _cause(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit status {code}"
