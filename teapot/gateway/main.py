"""A gateway's life: takes its certificate and key, gives up every path and port, is introduced to the others, and serves.

Runs as teapot, without capabilities and below Landlock. SIGTERM: nothing new, what is open finishes within shutdown_timeout_s. SIGUSR1: the
same without a bound, because a successor serves already. End of file on the master's socket: as SIGTERM, within seconds.
"""

import asyncio
import codecs
import contextlib
import gc
import logging
import os
import signal
import socket
import ssl

import uvloop

from teapot.channel import packets, start
from teapot.channel.observer_messages import ToProcess
from teapot.channel.start import GatewayStart
from teapot.gateway import request_path
from teapot.gateway.areas import Areas
from teapot.gateway.counts import Counts
from teapot.gateway.http_server import HttpRequest, HttpServer
from teapot.gateway.identify import Authority
from teapot.gateway.paths import Hosts
from teapot.gateway.reach_worker import Spawner
from teapot.gateway.request_path import Steps
from teapot.gateway.rules import Rules
from teapot.kernel import landlock, no_sockets, process

log = logging.getLogger(__name__)

_CODECS = ("idna", "punycode", "latin-1", "ascii", "utf-8")  # what the HTTP parser may ask for: below Landlock nothing can be loaded
_COLLECT_AFTER = 20_000, 10, 10  # containers: a request makes and drops some dozens, hardly any of them in circles
_ORPHANED_S = 5.0
_LAST_WORDS_S = 1.0
_WRITE_BUFFER_BYTES = 256 * 1024
_HANDSHAKE_S = 10.0


class Gateway:
    def __init__(self, begin: GatewayStart) -> None:
        self._begin = begin
        server = begin.server
        hosts, areas = Hosts(server.public_url, server.aliases), Areas(begin.areas)
        self._steps = Steps(server, hosts, areas, Rules(begin.rules), Authority(), Spawner(), Counts(), begin.tape_rest_api)
        self._http = HttpServer(self._serve, server)
        self._listeners: list[asyncio.Server] = []
        self._master = socket.socket(fileno=begin.master)
        self._introductions = packets.Receiver[start.Peer](start.Peer)
        self._observer: socket.socket | None = None
        self._leaving: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()

    async def run(self, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._leave, self._begin.server.shutdown_timeout_s)
        loop.add_signal_handler(signal.SIGUSR1, self._leave, None)
        self._master.setblocking(False)
        loop.add_reader(self._master, self._hear_master)
        for descriptor in self._begin.listening:
            self._listeners.append(
                await loop.create_server(
                    self._http,
                    sock=socket.socket(fileno=descriptor),
                    ssl=tls,
                    ssl_handshake_timeout=_HANDSHAKE_S if tls else None,
                    backlog=1024,
                )
            )
        await self._end(await self._leaving)

    async def _serve(self, request: HttpRequest) -> object:
        return await request_path.serve(request, self._steps, self._leaving.done)

    # --- introductions

    def _hear_master(self) -> None:
        try:
            while True:
                packet = self._introductions.receive(self._master, expected_descriptors=1)
                self._meet(packet.message.role, socket.socket(fileno=packet.descriptors[0]))
        except BlockingIOError:
            return
        except packets.ChannelError:
            asyncio.get_running_loop().remove_reader(self._master)
            self._leave(_ORPHANED_S)

    def _meet(self, role: str, end: socket.socket) -> None:
        if role == "authority":
            self._steps.authority.connect(end)
        elif role == "spawner":
            self._steps.spawner.connect(end)
        else:
            self._watch_observer(end)

    def _watch_observer(self, end: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        if self._observer is not None:
            loop.remove_reader(self._observer)
            self._observer.close()
        end.setblocking(False)
        self._observer = end
        loop.add_reader(end, self._hear_observer, end, packets.Receiver[ToProcess](ToProcess))

    def _hear_observer(self, end: socket.socket, receiver: packets.Receiver[ToProcess]) -> None:
        steps = self._steps
        try:
            ask = receiver.receive(end).message.ask
            ready = steps.authority.connected and steps.spawner.connected and not self._leaving.done()
            steps.counts.connections = len(self._http.connections)
            packets.send(end, steps.counts.scraped(ask, ready, steps.authority))
        except BlockingIOError:
            return
        except packets.ChannelError:
            asyncio.get_running_loop().remove_reader(end)

    # --- the end

    def _leave(self, within_s: float | None) -> None:
        if not self._leaving.done():
            log.info("leaving")
            self._leaving.set_result(within_s)
        elif within_s is not None:
            asyncio.get_running_loop().call_later(within_s, self._cut)

    async def _end(self, within_s: float | None) -> None:
        """Idle connections close at once, the others after the request that they are in."""
        for listener in self._listeners:
            listener.close()
        if within_s is not None:
            asyncio.get_running_loop().call_later(within_s, self._cut)
        self._http.close_idle()
        while self._steps.counts.open_requests:
            await asyncio.sleep(0.05)

    def _cut(self) -> None:
        for connection in self._http.connections:
            connection.force_close()
        asyncio.get_running_loop().call_later(_LAST_WORDS_S, os._exit, 0)  # whatever still hangs then


def tls_context(begin: GatewayStart) -> ssl.SSLContext | None:
    """Certificate and key come from sealed memfds; TLS 1.2 and newer."""
    if begin.key < 0:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(f"/proc/self/fd/{begin.certificate}", f"/proc/self/fd/{begin.key}")
    return context


def main(descriptor: int) -> None:
    begin = start.read(descriptor, GatewayStart)
    process.present(f"gateway {begin.number}", begin.account, begin.log_level)
    tls = tls_context(begin)
    for codec in _CODECS:
        codecs.lookup(codec)
    if landlock.restrict(()) == 0:
        log.warning("this kernel has no Landlock: that the gateway opens no file rests on its code alone")
    if not no_sockets.refuse_new():
        log.warning("this kernel has no seccomp: that the gateway connects to nobody rests on its code alone")

    gc.collect()
    gc.freeze()  # what is loaded by now stays: it need not be looked through again
    gc.set_threshold(*_COLLECT_AFTER)

    async def life() -> None:
        await Gateway(begin).run(tls)

    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(life())
