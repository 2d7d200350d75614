"""The authority's life: is introduced to its peers, answers gateways, tells the spawner first, and leaves when it is
to.

A gateway's state goes with its socket. Without a spawner nobody is identified (spawner_unavailable): an account that
cannot be reached is of no use.
"""

import asyncio
import contextlib
import functools
import logging
import signal
import socket
from collections.abc import Coroutine
from typing import Any

from teapot.authority.account_watch import AccountWatch, Orders
from teapot.authority.admission import Admitted
from teapot.authority.assembly import Parts, assemble
from teapot.authority.counts import Counts
from teapot.authority.ending import end
from teapot.authority.gateway_desk import GatewayDesk
from teapot.authority.link import Link
from teapot.authority.map_identity import MappingChange
from teapot.authority.refusal import Refusal
from teapot.authority.spawner_link import SpawnerLink
from teapot.channel import observer_messages, packets
from teapot.channel.authority_messages import FromAuthority, Identified, Identify, Refused
from teapot.channel.start import AuthorityStart, Peer

log = logging.getLogger(__name__)

MASTER_GONE_S = 5.0
_MAX_DETAIL_CHARACTERS = 500


class Authority:
    def __init__(self, begin: AuthorityStart, parts: Parts) -> None:
        self._parts = parts
        self._recheck_s, self._shutdown_s = begin.accounts.recheck_s, begin.server.shutdown_timeout_s
        self._counts = Counts(parts.answers, parts.keys, parts.mappings.alise)
        self._desks: dict[int, GatewayDesk] = {}
        self._observer: Link | None = None
        self._watch = AccountWatch(
            parts.directory, parts.named_by_areas, Orders(self.forget, self._retire, self._revoke)
        )
        self._spawner = SpawnerLink(self._watch.started, self._watch.ended)
        self._introductions = packets.Receiver[Peer](Peer)
        self._leave: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._mapping_changed = asyncio.Event()
        self._master = Link(
            socket.socket(fileno=begin.master), self._meet, lambda why: self._leave_within(MASTER_GONE_S)
        )
        parts.mappings.on_change = self._remapped

    async def run(self) -> None:
        """Until the master says so or is gone; what is open then is answered, within a bound."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._leave_within, self._shutdown_s)
        background = [asyncio.create_task(self._for_ever(work)) for work in self._background()]
        within_s = await self._leave
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await asyncio.gather(*(desk.finish() for desk in self._desks.values()))
        await self._close(background)

    def forget(self) -> None:
        """What gateways and caches know of accounts and mappings is void."""
        self._parts.answers.forget()
        for desk in self._desks.values():
            desk.forget()

    # --- introductions

    def _meet(self, master: socket.socket) -> None:
        packet = self._introductions.receive(master, expected_descriptors=1)
        if len(packet.descriptors) != 1:
            raise packets.BadPacket("a peer without its socket")
        end, peer = socket.socket(fileno=packet.descriptors[0]), packet.message
        if peer.role == "gateway":
            self._part(self._desks.get(peer.number))
            self._desks[peer.number] = GatewayDesk(peer.number, end, self._answer, self._part)
        elif peer.role == "spawner":
            self._watch.forget_workers()
            self._spawner.connect(end)
        elif peer.role == "observer":
            self._observe(end)
        else:
            end.close()
            log.error("the master introduces a %r", peer.role)

    def _part(self, desk: GatewayDesk | None) -> None:
        if desk is not None:
            desk.close()
            if self._desks.get(desk.number) is desk:
                del self._desks[desk.number]

    def _observe(self, end: socket.socket) -> None:
        if self._observer:
            self._observer.close()
        receiver = packets.Receiver[observer_messages.ToProcess](observer_messages.ToProcess)
        self._observer = Link(end, functools.partial(self._scrape, receiver), lambda why: None)

    def _scrape(self, receiver: packets.Receiver[observer_messages.ToProcess], end: socket.socket) -> None:
        ask = receiver.receive(end).message.ask
        ready = self._spawner.connected and self._parts.mappings.ready
        with contextlib.suppress(BlockingIOError):
            packets.send(end, self._counts.scraped(ask, ready, self._watch.watched))

    # --- answering

    async def _answer(self, gateway: int, asked: Identify) -> FromAuthority:
        try:
            admitted = await self._admitted(gateway, asked.token)
        except Refusal as refusal:
            log.info("%s %s: %s", asked.request_id, refusal.problem, refusal.detail)
            return self._refused(asked, refusal.problem, refusal.detail)
        except Exception:  # a fault of ours in one question must not leave its gateway waiting
            log.exception("%s", asked.request_id)
            return self._refused(asked, "internal_error", "authority")
        self._counts.outcomes["identified"] += 1
        return Identified(asked.ask, admitted.caller)

    async def _admitted(self, gateway: int, token: str) -> Admitted:
        """Not from before a Forget that the gateway gets, or a REVOKE that the spawner gets, first."""
        answers = self._parts.answers
        while True:
            admitted, edition = await answers.find(token), answers.edition
            await self._allow(gateway, admitted)
            if edition == answers.edition:
                return admitted

    async def _allow(self, gateway: int, admitted: Admitted) -> None:
        """Rows first: when the gateway asks for its channel, the spawner has them."""
        for account in sorted(set(admitted.caller.accounts.values())):
            await self._spawner.allow(gateway, account, admitted.rows_until)
            self._watch.allowed(account, admitted.rows_until)

    def _refused(self, asked: Identify, problem: str, detail: str) -> Refused:
        self._counts.outcomes[problem] += 1
        return Refused(asked.ask, problem, detail[:_MAX_DETAIL_CHARACTERS])

    # --- what changes meanwhile

    def _background(self) -> list[Coroutine[Any, Any, None]]:
        return [self._watch.run(self._recheck_s), self._end_unmapped(), *self._parts.mappings.background()]

    def _remapped(self, change: MappingChange) -> None:
        self.forget()
        self._watch.unmapped(change.nobodys)
        self._watch.fewer(change.others)
        self._mapping_changed.set()

    async def _end_unmapped(self) -> None:
        while True:
            await self._mapping_changed.wait()
            self._mapping_changed.clear()
            try:
                await self._watch.end_unmapped()
            except Refusal as refusal:
                log.error("%s: %s", refusal.problem, refusal.detail)

    async def _retire(self, account: str) -> None:
        await self._spawner.retire(account)

    async def _revoke(self, account: str) -> None:
        await self._spawner.revoke(account)

    # --- leaving

    async def _for_ever(self, work: Coroutine[Any, Any, None]) -> None:
        """Background work that ends has failed; an authority that does not watch must not go on."""
        try:
            await work
        except Exception:
            log.exception("the authority's background work failed: it leaves")
            self._leave_within(0.0)

    def _leave_within(self, seconds: float) -> None:
        if not self._leave.done():
            self._leave.set_result(seconds)

    async def _close(self, background: list[asyncio.Task[None]]) -> None:
        await end(background)
        for desk in list(self._desks.values()):
            desk.close()
        for link in (self._spawner, self._master, self._observer):
            if link:
                link.close()


async def serve(begin: AuthorityStart) -> None:
    async with assemble(begin) as parts:
        await Authority(begin, parts).run()
