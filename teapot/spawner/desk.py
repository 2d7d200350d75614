"""The closed table of what each peer may ask of the spawner; anything else ends that peer's socket.

A request is answered from the rows and the list of live workers, or waits (bounded) for a worker that is being started. Rhymes with
channel/spawner_messages.py.
"""

import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from teapot import accounts
from teapot.channel import control_messages as control
from teapot.channel import packets
from teapot.channel import spawner_messages as messages
from teapot.channel.spawner_messages import Form
from teapot.spawner.counts import Counts
from teapot.spawner.dismissal import LEAVE_S, dismiss, tell
from teapot.spawner.peers import Peer, Peers, answer, inform
from teapot.spawner.refusals import Refusals
from teapot.spawner.rows import Rows
from teapot.spawner.workers import State, Worker, Workers

log = logging.getLogger(__name__)

MAX_WAITING = 1024  # asks of one gateway
RETRY_S = {"too_many_workers": 5, "account_stuck": 30, "directory_unavailable": 10}
ROOM_S = 0.3  # most requests are short: so long somebody is waited for who may become idle


@dataclass(frozen=True, slots=True)
class Ask:
    gateway: int
    number: int
    account: str
    deadline: float


class Desk:
    def __init__(self, maximum: int, patience_s: float, give_birth: Callable[[str], Worker], hear_master: Callable[[], None]) -> None:
        self.rows = Rows()
        self.workers = Workers()
        self.waiting: list[Ask] = []
        self.peers = Peers()
        self.counts = Counts()
        self.refusals = Refusals()
        self._maximum = maximum
        self.patience_s = patience_s
        self._give_birth, self._hear_master = give_birth, hear_master
        self._table: dict[str, dict[int, Callable[[Peer, Form], None]]] = {
            "authority": {messages.ALLOW: self._allow, messages.REVOKE: self._revoke, messages.RETIRE: self._retire},
            "gateway": {messages.REACH: self._reach},
            "observer": {messages.LIST: self._list},
        }

    # --- peers

    def welcome(self, peer: Peer) -> None:
        """A peer was started (anew). A new authority is told who is being served."""
        self.peers.add(peer)
        if peer.role == "authority":
            for worker in self.workers:
                if worker.state is State.SERVING:
                    inform(peer, _started(worker))

    def farewell(self, peer: Peer) -> None:
        """What a peer was entitled to, or entitled others to, goes with it."""
        self.peers.remove(peer)
        if peer.role == "authority":
            self.rows.drop_authority(peer.number)
        if peer.role == "gateway":
            self.rows.drop_gateway(peer.number)
            self.waiting = [ask for ask in self.waiting if ask.gateway != peer.number]

    def hear(self, peer: Peer) -> bool:
        """Read and serve one message. False: nothing there. BadForm, OSError, EOFError: the peer is of no more use."""
        try:
            data = peer.socket.recv(messages.MAX_MESSAGE_BYTES + 1, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        if not data:
            raise EOFError
        table = self._table[peer.role]
        form = messages.unpack(data, table)
        table[form.kind](peer, form)
        return True

    # --- the authority's requests

    def _allow(self, peer: Peer, form: Form) -> None:
        until = self.rows.allow(form.number, form.name, form.until, peer.number)
        worker = self.workers.usable(form.name)
        if worker and form.number in worker.gateways:
            tell(worker, control.Control(control.UNTIL, form.number, until))

    def _revoke(self, peer: Peer, form: Form) -> None:
        self.rows.drop_account(form.name)
        for worker in self.workers:
            if worker.serves(form.name):
                self._end(worker)

    def refuse_further(self, worker: Worker, why: str) -> None:
        """PAM does not let its account in any more."""
        log.warning("account %s is served no more: %s", worker.account, why)
        self.refusals.note(worker.names, time.monotonic())
        self._end(worker)

    def _end(self, worker: Worker) -> None:
        dismiss(worker, control.ABORT)
        for name in worker.names:
            self.rows.drop_account(name)

    def _retire(self, peer: Peer, form: Form) -> None:
        worker = self.workers.usable(form.name)
        if worker:
            dismiss(worker, control.RETIRE)

    # --- a gateway's request

    def _reach(self, peer: Peer, form: Form) -> None:
        ask = Ask(peer.number, form.number, form.name, time.monotonic() + self.patience_s)
        if not self._permitted(ask):
            self._refuse(ask, "not_allowed")
        elif not accounts.is_account_name(ask.account) or self.refusals.stand(ask.account, time.monotonic()):
            self._refuse(ask, "account_refused")
        elif sum(waiting.gateway == ask.gateway for waiting in self.waiting) >= MAX_WAITING:
            self._refuse(ask, "too_many_workers")
        else:
            self.waiting.append(ask)

    def _permitted(self, ask: Ask) -> float | None:
        """Until when; before a refusal, everything that the authority has already sent is read, be it one that is only now introduced."""
        until = self.rows.until(ask.gateway, ask.account, time.monotonic())
        return until or (self._hear_authorities() and self.rows.until(ask.gateway, ask.account, time.monotonic())) or None

    def _hear_authorities(self) -> bool:
        """Whether there was something. What goes wrong with an authority's socket here is met again, and dealt with, by the loop."""
        self._hear_master()
        heard = False
        for peer in self.peers.authorities():
            try:
                while self.hear(peer):
                    heard = True
            except (OSError, EOFError, messages.BadForm) as gone:
                log.debug("authority %d: %s", peer.number, gone)
                peer.socket.shutdown(socket.SHUT_RDWR)
        return heard

    def serve_waiting(self, now: float) -> None:
        """Give channels to all whose worker serves, start workers for the others, refuse those that waited too long."""
        asks, self.waiting = self.waiting, []
        for ask in asks:
            worker = self.workers.usable(ask.account)
            if worker and worker.state is State.SERVING:
                self._deliver(worker, ask)
            elif ask.deadline <= now:
                self._refuse(ask, self._why_too_late(ask.account))
            elif worker or self._start(ask):
                self.waiting.append(ask)

    def _start(self, ask: Ask) -> bool:
        """True: a worker is being started, or there will be room for one soon. False: the ask was refused."""
        if self.workers.stuck(ask.account) > 1:
            self._refuse(ask, "account_stuck")
            return False
        if len(self.workers) < self._maximum:
            return self._fork(ask)
        asked = ask.deadline - self.patience_s
        if self._make_room() or time.monotonic() - asked < ROOM_S:
            return True
        self._refuse(ask, "too_many_workers")
        return False

    def _fork(self, ask: Ask) -> bool:
        try:
            self.workers.add(self._give_birth(ask.account))
        except OSError as failed:  # out of processes or descriptors: those who are served go on being served
            log.error("no worker for %r: %s", ask.account, failed)
            self._refuse(ask, "worker_failed")
            return False
        return True

    def _make_room(self) -> bool:
        """At the maximum the longest idle worker goes; several may be needed, one at a time.

        One that does not even say that it is busy is not waited for: its own account may have stopped it.
        """
        if any(worker.asked_to_leave for worker in self.workers):
            return True
        idle = self.workers.longest_idle()
        if idle is None:
            return any(worker.state is State.LEAVING for worker in self.workers)
        idle.asked_to_leave = True
        idle.kill_at = time.monotonic() + LEAVE_S
        tell(idle, control.Control(control.LEAVE_IF_IDLE))
        return True

    def _deliver(self, worker: Worker, ask: Ask) -> None:
        until = self._permitted(ask)
        gateway = self.peers.get(("gateway", ask.gateway))
        if until is None or gateway is None:
            self._refuse(ask, "not_allowed")
            return
        try:
            ours, theirs = packets.pair()
        except OSError as failed:
            log.error("no channel to %r: %s", ask.account, failed)
            self._refuse(ask, "worker_failed")
            return
        with ours, theirs:
            worker.idle_since = None
            worker.gateways.add(ask.gateway)
            tell(worker, control.Control(control.CHANNEL, ask.gateway, until), theirs.fileno())
            if worker.state is State.SERVING:
                answer(gateway, Form(messages.REACHED, ask.number), ours.fileno())
            else:  # it has just left: the next one is for this ask
                self.waiting.append(ask)

    def refuse_all(self, account: str, reason: str) -> None:
        asks, self.waiting = self.waiting, []
        for ask in asks:
            if ask.account == account:
                self._refuse(ask, reason)
            else:
                self.waiting.append(ask)

    def _refuse(self, ask: Ask, reason: str) -> None:
        self.counts.refused[reason] += 1
        log.log(logging.WARNING if reason == "not_allowed" else logging.INFO, "gateway %d, %r: %s", ask.gateway, ask.account, reason)
        gateway = self.peers.get(("gateway", ask.gateway))
        if gateway:
            answer(gateway, Form(messages.REFUSED, ask.number, RETRY_S.get(reason, 1), reason))

    # --- the observer's request

    def _list(self, peer: Peer, form: Form) -> None:
        answer(peer, Form(messages.LISTED, form.number, 0.0, self.counts.as_text(self.workers, len(self.rows))))

    # --- telling

    def started(self, worker: Worker) -> None:
        self.counts.started += 1
        self.counts.start_seconds += time.monotonic() - worker.started
        self.peers.tell_authorities(_started(worker))

    def ended(self, worker: Worker) -> None:
        """Its process is gone."""
        self.peers.tell_authorities(Form(messages.ENDED, worker.pid, 0.0, worker.account))

    def replace(self, worker: Worker) -> None:
        """Its account is not what it was when it started: it finishes what is open, a new one takes over."""
        dismiss(worker, control.RETIRE)

    def retire_editions_before(self, edition: str) -> None:
        for worker in self.workers:
            if worker.edition != edition and worker.state in (State.STARTING, State.SERVING):
                dismiss(worker, control.RETIRE)

    def _why_too_late(self, account: str) -> str:
        """The youngest attempt tells: one that has not said who it is was waiting for the directory."""
        attempts = [worker for worker in self.workers if worker.serves(account) and worker.state is not State.SERVING]
        if not attempts:
            return "too_many_workers"
        return "worker_failed" if attempts[-1].uid >= 0 else "directory_unavailable"


def _started(worker: Worker) -> Form:
    return Form(messages.STARTED, worker.pid, 0.0, f"{worker.account}\0{worker.fingerprint}")
