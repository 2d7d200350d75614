"""The observer's life: is introduced to the others, asks them how they are, and answers on the admin port.

Runs as teapot-observer without capabilities. It asks when it is asked, and once a second until the service is first ready, which it then
tells systemd.
"""

import asyncio
import contextlib
import functools
import ipaddress
import logging
import os
import signal
import socket
from typing import Any

import msgspec
import uvloop
from aiohttp import web

from teapot.channel import packets, start
from teapot.channel import spawner_messages as spawner
from teapot.channel.observer_messages import FromProcess, Scrape
from teapot.channel.start import ObserverStart
from teapot.kernel import process
from teapot.observer.metrics import Totals, exposition, spawner_totals

log = logging.getLogger(__name__)

_PATIENCE_S = 2.0


class Peer:
    """One process that is asked."""

    def __init__(self, role: str, number: int, end: socket.socket) -> None:
        self.role, self.number, self.end = role, number, end
        self.ready, self.alive = False, True
        self.totals = Totals()
        self.answered = asyncio.Event()


class Observer:
    def __init__(self, begin: ObserverStart) -> None:
        self._begin = begin
        self._peers: dict[tuple[str, int], Peer] = {}
        self._ended = Totals()  # what processes that are gone had counted
        self._ask = 0
        self._master = socket.socket(fileno=begin.master)
        self._introductions = packets.Receiver[start.Peer](start.Peer)
        self._networks = [ipaddress.ip_network(network) for network in begin.server.admin_networks]
        self._over = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGUSR1):
            loop.add_signal_handler(number, self._over.set)
        self._master.setblocking(False)
        loop.add_reader(self._master, self._hear_master)
        server = web.Server(self._answer, access_log=None)
        for descriptor in self._begin.listening:
            await loop.create_server(server, sock=socket.socket(fileno=descriptor))
        telling = asyncio.ensure_future(self._tell_systemd())
        await self._over.wait()
        telling.cancel()

    # --- the processes

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
        end.setblocking(False)
        peer = Peer(introduced.role, introduced.number, end)
        self._peers[peer.role, peer.number] = peer
        receiver = packets.Receiver[FromProcess](FromProcess)
        asyncio.get_running_loop().add_reader(end, functools.partial(self._hear, peer, receiver))

    def _hear(self, peer: Peer, receiver: packets.Receiver[FromProcess]) -> None:
        try:
            if peer.role == "spawner":
                data = peer.end.recv(spawner.MAX_MESSAGE_BYTES + 1)
                if not data:
                    raise packets.PeerGone
                peer.totals, peer.ready = spawner_totals(spawner.unpack(data, (spawner.LISTED,)).name), True
            else:
                scraped = receiver.receive(peer.end).message
                peer.totals, peer.ready = Totals.of(scraped), scraped.ready
            peer.answered.set()
        except BlockingIOError:
            return
        except (packets.ChannelError, OSError, ValueError, spawner.BadForm) as gone:
            log.info("%s %d: %s", peer.role, peer.number, gone)
            self._part(peer)

    def _part(self, peer: Peer) -> None:
        asyncio.get_running_loop().remove_reader(peer.end)
        peer.end.close()
        peer.alive = False
        peer.answered.set()
        self._ended.add(peer.totals, gauges=False)
        if self._peers.get((peer.role, peer.number)) is peer:
            del self._peers[peer.role, peer.number]

    async def _ask_all(self) -> list[Peer]:
        """Those that answered in time."""
        self._ask += 1
        asked = list(self._peers.values())
        for peer in asked:
            peer.answered.clear()
            with contextlib.suppress(OSError, packets.ChannelError):
                if peer.role == "spawner":
                    spawner.send(peer.end, spawner.Form(spawner.LIST, self._ask))
                else:
                    packets.send(peer.end, Scrape(self._ask))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await asyncio.gather(*(peer.answered.wait() for peer in asked))
        return [peer for peer in asked if peer.alive and peer.answered.is_set()]

    async def _missing(self) -> list[str]:
        """What the service still needs to be ready."""
        answered = [peer for peer in await self._ask_all() if peer.ready]
        gateways = sum(peer.role == "gateway" for peer in answered)
        missing = [role for role in ("authority", "spawner") if not any(peer.role == role for peer in answered)]
        if gateways < self._begin.gateways:
            missing.append(f"{self._begin.gateways - gateways} of {self._begin.gateways} gateways")
        return missing

    # --- the admin port

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._may_ask(request):
            return _json(403, {"error": "not from this address: see server.admin_networks"})
        if request.path == "/healthz":
            return _json(200, {"status": "alive"})
        if request.path == "/readyz":
            missing = await self._missing()
            return _json(503 if missing else 200, {"ready": not missing, "missing": missing})
        if request.path == "/metrics":
            return web.Response(body=await self._metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
        return _json(404, {"error": "there are /healthz, /readyz and /metrics"})

    def _may_ask(self, request: web.BaseRequest) -> bool:
        address = ipaddress.ip_address((request.remote or "::").partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return address.is_loopback or any(address in network for network in self._networks)

    async def _metrics(self) -> bytes:
        totals = Totals()
        totals.add(self._ended, gauges=False)
        await self._ask_all()
        for peer in self._peers.values():
            totals.add(peer.totals, gauges=True)
        return exposition(totals)

    # --- systemd

    async def _tell_systemd(self) -> None:
        while await self._missing():
            await asyncio.sleep(0.2)
        log.info("the service is ready")
        where = self._begin.notify_socket
        if where:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, contextlib.suppress(OSError):
                notify.sendto(b"READY=1", "\0" + where[1:] if where.startswith("@") else where)


def _json(status: int, body: dict[str, Any]) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


def main(descriptor: int) -> None:
    begin = start.read(descriptor, ObserverStart)
    process.present("observer", begin.account, begin.log_level)
    os.chdir("/")

    async def life() -> None:
        await Observer(begin).run()

    uvloop.run(life())
