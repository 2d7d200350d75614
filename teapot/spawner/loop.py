"""The spawner's one thread: waits for peers, workers and dead children, and lets desk.py and hall.py deal with them.

Runs as teapot-spawner with CAP_SETUID, CAP_SETGID and CAP_KILL (in single-account mode as that account, with nothing). It opens no
file after its start, reads no byte that came from the network, and ends, workers and all, when the master does.
"""

import functools
import gc
import hashlib
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable

import msgspec

import teapot
from teapot.channel import packets, start
from teapot.channel import spawner_messages as messages
from teapot.channel.start import SpawnerStart
from teapot.kernel import process
from teapot.spawner import birth, succession
from teapot.spawner.account_phase import Rounds
from teapot.spawner.desk import Desk
from teapot.spawner.hall import Hall
from teapot.spawner.peers import Peer
from teapot.spawner.workers import Worker

log = logging.getLogger(__name__)

FAREWELL_S = 6.0  # workers get 5 s to finish or abort when everything ends
IDLE_TICK_S, BUSY_TICK_S = 60.0, 0.05
MESSAGES_A_TURN = 64  # of one peer, before the others are heard


class Ended(Exception):
    """The master is gone, or wants us to be."""


class Spawner:
    def __init__(self, begin: SpawnerStart) -> None:
        self.begin = begin
        self.edition = edition(begin)
        self.master = socket.socket(fileno=begin.master)
        self.selector = selectors.DefaultSelector()
        self.desk = Desk(begin.worker.maximum, begin.worker.start_timeout_s, self._give_birth, self._hear_master)
        service = "" if begin.single_account else begin.accounts.pam_service
        self.rounds = Rounds(service, begin.accounts.recheck_s, self.desk.refuse_further)
        self.hall = Hall(self.desk, self.rounds)
        self._introductions = packets.Receiver[start.FromMaster](start.FromMaster)
        self._told_to_end = False
        self._renewal: int | None = None  # the descriptor of what the new program begins with
        self._wake, self._woken = socket.socketpair(type=socket.SOCK_DGRAM)

    def run(self) -> None:
        self._listen_for_signals()
        self._watch(self._woken, self._drain_wakeups)
        self._watch(self.master, self._hear_master)
        for peer in list(self.desk.peers.values()):
            self._watch(peer.socket, functools.partial(self._hear_peer, peer))
        for worker in self.desk.workers:
            self._watch(worker.control, functools.partial(self._hear_worker, worker))
        try:
            while True:
                self._turn()
        except Ended as ended:
            log.info("%s: ending", ended)
        self.hall.end_all(time.monotonic() + FAREWELL_S)

    def _turn(self) -> None:
        waiting = self.desk.peers.send_unsent() or self.desk.waiting or any(worker.kill_at for worker in self.desk.workers)
        quiet = min(IDLE_TICK_S, self.rounds.next_in(time.monotonic()))
        for key, _ in self.selector.select(BUSY_TICK_S if waiting else quiet):
            if self.selector.get_map().get(key.fd) is key:  # an earlier event of this turn may have closed it
                key.data()
        if self._told_to_end:
            raise Ended("told to end")
        if self._renewal is not None:
            succession.renew(self._renewal, self)
        now = time.monotonic()
        for worker in self.hall.reap():
            self._unwatch(worker.control)
        self.hall.kill_overdue(now)
        self.desk.serve_waiting(now)
        self.desk.rows.drop_expired(now)
        self.rounds.begin(self.desk.workers, now)

    # --- who is listened to

    def _watch(self, what: socket.socket, hear: Callable[[], None]) -> None:
        what.setblocking(False)
        self.selector.register(what, selectors.EVENT_READ, hear)

    def _unwatch(self, what: socket.socket) -> None:
        if what.fileno() >= 0:
            self.selector.unregister(what)
            what.close()

    def _hear_master(self) -> None:
        """All that it has said."""
        try:
            while self._renewal is None:
                self._obey(self._introductions.receive(self.master, expected_descriptors=1))
        except BlockingIOError:
            return
        except packets.ChannelError as gone:
            raise Ended("the master is gone") from gone

    def _obey(self, packet: packets.Packet[start.FromMaster]) -> None:
        message, _, (descriptor,) = packet
        if isinstance(message, start.Renew):
            self._renewal = descriptor  # at the end of this turn: nothing that has been read must be lost
        else:
            self._meet(Peer(message.role, message.number, socket.socket(fileno=descriptor)))

    def _meet(self, peer: Peer) -> None:
        self._watch(peer.socket, functools.partial(self._hear_peer, peer))
        self.desk.welcome(peer)

    def _hear_peer(self, peer: Peer) -> None:
        try:
            for _ in range(MESSAGES_A_TURN):
                if not self.desk.hear(peer):
                    return
        except (EOFError, OSError, messages.BadForm) as gone:
            if not isinstance(gone, EOFError):
                log.error("%s %d: %s", peer.role, peer.number, gone)
            self._unwatch(peer.socket)
            self.desk.farewell(peer)

    def _hear_worker(self, worker: Worker) -> None:
        if not self.hall.hear(worker):
            self.selector.unregister(worker.control)
            worker.control.close()

    # --- children

    def _give_birth(self, account: str) -> Worker:
        worker = birth.fork_worker(account, self.begin, self.edition, self._own_sockets())
        self._watch(worker.control, functools.partial(self._hear_worker, worker))
        return worker

    def _own_sockets(self) -> list[socket.socket]:
        peers = [peer.socket for peer in self.desk.peers.values()]
        controls = [worker.control for worker in self.desk.workers]
        return [self.master, self._wake, self._woken, *peers, *controls]

    # --- signals

    def _listen_for_signals(self) -> None:
        self._wake.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGTERM, self._note_end)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _note_end(self, number: int, frame: object) -> None:
        self._told_to_end = True

    def _drain_wakeups(self) -> None:
        self._woken.recv(4096)


def edition(begin: SpawnerStart) -> str:
    """Names the software and the settings that a worker was forked from; workers of another one are retired."""
    settings = msgspec.json.encode((begin.accounts, begin.areas, begin.worker))
    return f"{teapot.__version__}+{hashlib.sha256(settings).hexdigest()[:12]}"


def main(descriptor: int, kept: int | None = None) -> None:
    begin = start.read(descriptor, SpawnerStart)
    process.present("spawner", begin.account, begin.log_level)
    os.chdir("/")
    spawner = Spawner(begin)
    if kept is not None:
        succession.take_over(kept, spawner)
    gc.collect()
    gc.freeze()  # what is loaded by now is shared by all workers, and not copied by their garbage collectors
    spawner.run()
