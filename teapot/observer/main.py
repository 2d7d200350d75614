"""The observer's life: is introduced to the others, asks them every few seconds how they are, and answers on the admin port.

Runs as teapot-observer, without capabilities and below Landlock: no file, no outgoing connection. Without it requests are served as ever,
but nobody can see how, and systemd is not told that the service is ready.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import time

import uvloop

from teapot.channel import packets, start
from teapot.channel.start import ObserverStart
from teapot.kernel import landlock, no_sockets, process
from teapot.observer import metrics, readiness
from teapot.observer.admin_http import AdminHttp, Questions
from teapot.observer.exposition import Exposition
from teapot.observer.peers import Peer, ask_all
from teapot.observer.readiness import Answered
from teapot.observer.systemd import Systemd
from teapot.observer.totals import Source, Totals

log = logging.getLogger(__name__)

_ROLES = ("gateway", "authority", "spawner")
ROUND_S, ROUND_UNTIL_READY_S = 2.0, 0.1
_END_S = 2.0  # for answers that are being given


class Observer:
    def __init__(self, begin: ObserverStart, systemd: Systemd) -> None:
        self._begin = begin
        self._systemd = systemd
        self._peers: dict[Source, Peer] = {}
        self._totals = Totals()
        self._exposition = Exposition(self._totals)
        self._round: asyncio.Task[None] | None = None
        self._alive_told = 0.0
        self._master = socket.socket(fileno=begin.master)
        self._introductions = packets.Receiver[start.Peer](start.Peer)
        self._over = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGUSR1):
            loop.add_signal_handler(number, self._over.set)
        self._master.setblocking(False)
        loop.add_reader(self._master, self._hear_master)
        http = AdminHttp(Questions(self._missing, self._metrics), self._begin.server.admin_networks)
        listeners = [await loop.create_server(http, sock=socket.socket(fileno=one)) for one in self._begin.listening]
        watch = asyncio.ensure_future(self._watch())
        watch.add_done_callback(lambda _: self._over.set())
        await self._over.wait()
        for listener in listeners:
            listener.close()
        await http.shutdown(_END_S)
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch

    # --- introductions

    def _hear_master(self) -> None:
        try:
            while True:
                packet = self._introductions.receive(self._master, expected_descriptors=1)
                self._meet(packet.message, socket.socket(fileno=packet.descriptors[0]))
        except BlockingIOError:
            return
        except packets.ChannelError:
            asyncio.get_running_loop().remove_reader(self._master)
            self._over.set()

    def _meet(self, introduced: start.Peer, end: socket.socket) -> None:
        if introduced.role not in _ROLES:
            end.close()
            return
        source = Source(introduced.role, introduced.number)
        for known in [peer for peer in self._peers.values() if _replaces(source, peer.source)]:
            known.close()
            self._part(known)
        self._peers[source] = Peer(source, end, self._part)

    def _part(self, peer: Peer) -> None:
        del self._peers[peer.source]
        self._totals.forget(peer.source)

    # --- asking

    async def _watch(self) -> None:
        while True:
            await self._ask_round()
            missing = self._missing()
            self._systemd.tell_state(missing)
            self._tell_alive()
            await asyncio.sleep(ROUND_UNTIL_READY_S if missing else ROUND_S)

    async def _ask_round(self) -> None:
        """One round at a time, whoever wants one."""
        if self._round is None or self._round.done():
            self._round = asyncio.ensure_future(self._ask())
        await asyncio.shield(self._round)

    async def _ask(self) -> None:
        for peer, scraped in await ask_all(list(self._peers.values())):
            if self._peers.get(peer.source) is not peer:
                continue  # it has gone meanwhile
            try:
                self._totals.add(peer.source, metrics.admitted(peer.source.role, scraped))
            except metrics.BadCounts as wrong:
                log.error("%s %d is not heard any more: %s", *peer.source, wrong)
                peer.close()
                self._part(peer)

    def _tell_alive(self) -> None:
        """A service whose gateways or spawner do not answer at all is not alive, and nothing but a new start will help it."""
        now, answering = time.monotonic(), self._answering()
        due = self._begin.watchdog_s and now - self._alive_told >= self._begin.watchdog_s / 3
        if due and answering["gateway"] and answering["spawner"]:
            self._systemd.tell_alive()
            self._alive_told = now

    # --- answering

    def _states(self) -> list[Answered]:
        return [Answered(peer.source.role, peer.ready, peer.answered) for peer in self._peers.values()]

    def _missing(self) -> list[str]:
        return readiness.missing(self._states(), self._begin.gateways, time.monotonic())

    def _answering(self) -> dict[str, int]:
        return readiness.answering(self._states(), time.monotonic())

    async def _metrics(self, accept: str) -> tuple[bytes, str]:
        await self._ask_round()
        return self._exposition.text(accept, self._answering())


def _replaces(new: Source, known: Source) -> bool:
    """Gateways are told apart by number; of the others there is one."""
    return new == known or (new.role == known.role and new.role != "gateway")


def main(descriptor: int) -> None:
    begin = start.read(descriptor, ObserverStart)
    process.present("observer", begin.account, begin.log_level)
    systemd = Systemd(begin.notify_socket)
    if landlock.restrict(()) == 0:
        log.warning("this kernel has no Landlock: that the observer opens no file rests on its code alone")
    if not no_sockets.refuse_new():
        log.warning("this kernel has no seccomp: that the observer connects to nobody rests on its code alone")

    async def life() -> None:
        await Observer(begin, systemd).run()

    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(life())
