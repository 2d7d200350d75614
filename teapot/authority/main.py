"""The authority's life: is introduced to the others, answers gateways, and watches the accounts that are being served.

Runs as teapot-authority without capabilities. It connects out, to the configured issuers only, and reads the mapping file; it listens to
nobody. What it allows, it tells the spawner before it answers the gateway.
"""

import asyncio
import contextlib
import functools
import logging
import signal
import socket
import ssl
from collections import Counter

import uvloop

from common.discovery import Fetcher
from teapot.authority.admission import Admission, fingerprint
from teapot.authority.authenticate import Authenticator
from teapot.authority.map_identity import IdentityMap
from teapot.authority.refusal import Refusal
from teapot.channel import observer_messages, packets, start
from teapot.channel import spawner_messages as spawner
from teapot.channel.authority_messages import Caller, Forget, Identified, Identify, Refused
from teapot.channel.start import AuthorityStart
from teapot.kernel import process

log = logging.getLogger(__name__)

ROW_BEYOND_CACHE_S = 60.0  # a gateway has so long to use what it was answered
_MAX_QUESTIONS = 512  # being answered for one gateway


class Authority:
    def __init__(self, begin: AuthorityStart, fetcher: Fetcher) -> None:
        self._begin = begin
        self._identities = IdentityMap(begin.mapping, begin.issuers)
        self._authenticator = Authenticator(begin.server, begin.issuers, fetcher)
        self._admission = Admission(begin.areas, self._identities, begin.accounts, begin.single_account)
        self._master = socket.socket(fileno=begin.master)
        self._introductions = packets.Receiver[start.Peer](start.Peer)
        self._spawner: socket.socket | None = None
        self._gateways: dict[int, socket.socket] = {}
        self._answering: dict[int, set[asyncio.Task[None]]] = {}
        self._live: dict[str, str] = {}  # account with a worker: the fingerprint that it was started with
        self._outcomes: Counter[str] = Counter()
        self._over = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGUSR1):
            loop.add_signal_handler(number, self._over.set)
        self._master.setblocking(False)
        loop.add_reader(self._master, self._hear_master)
        watch = asyncio.ensure_future(self._watch_accounts())
        await self._over.wait()
        watch.cancel()

    # --- introductions

    def _hear_master(self) -> None:
        try:
            while True:
                packet = self._introductions.receive(self._master, expected_descriptors=1)
                end = socket.socket(fileno=packet.descriptors[0])
                end.setblocking(False)
                self._meet(packet.message, end)
        except BlockingIOError:
            return
        except packets.ChannelError:
            asyncio.get_running_loop().remove_reader(self._master)
            self._over.set()

    def _meet(self, peer: start.Peer, end: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        if peer.role == "gateway":
            self._gateways[peer.number] = end
            self._answering[peer.number] = set()
            receiver = packets.Receiver[Identify](Identify)
            loop.add_reader(end, functools.partial(self._hear_gateway, peer.number, end, receiver))
        elif peer.role == "spawner":
            self._live.clear()
            self._spawner = end
            loop.add_reader(end, self._hear_spawner, end)
        else:
            questions = packets.Receiver[observer_messages.ToProcess](observer_messages.ToProcess)
            loop.add_reader(end, functools.partial(self._hear_observer, end, questions))

    # --- gateways

    def _hear_gateway(self, number: int, end: socket.socket, receiver: packets.Receiver[Identify]) -> None:
        try:
            while True:
                asked = receiver.receive(end).message
                if len(self._answering[number]) < _MAX_QUESTIONS:
                    task = asyncio.ensure_future(self._answer(number, end, asked))
                    self._answering[number].add(task)
                    task.add_done_callback(self._answering[number].discard)
        except BlockingIOError:
            return
        except (packets.ChannelError, OSError) as gone:
            if not isinstance(gone, packets.PeerGone):
                log.error("gateway %d: %s", number, gone)
            self._part(number, end)

    def _part(self, number: int, end: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(end)
        del self._gateways[number]
        for task in self._answering.pop(number):
            task.cancel()
        end.close()

    async def _answer(self, number: int, end: socket.socket, asked: Identify) -> None:
        try:
            caller = await self._identify(asked.token)
            self._allow(number, caller)
            answer: Identified | Refused = Identified(asked.ask, caller)
            self._outcomes["identified"] += 1
        except Refusal as refusal:
            log.info("%s %s: %s", asked.request_id, refusal.problem, refusal.detail)
            answer = Refused(asked.ask, refusal.problem, refusal.detail[:500])
            self._outcomes[refusal.problem] += 1
        except Exception:
            log.exception("%s internal error", asked.request_id)
            answer = Refused(asked.ask, "internal_error", "authority")
            self._outcomes["internal_error"] += 1
        with contextlib.suppress(OSError, packets.ChannelError):
            packets.send(end, answer)

    async def _identify(self, token: str) -> Caller:
        if not token:
            return await self._admission.anonymous()
        return await self._admission.admit(await self._authenticator.authenticate(token))

    def _allow(self, gateway: int, caller: Caller) -> None:
        """Rows first: when the gateway asks for its channel, the spawner has them."""
        for account in set(caller.accounts.values()):
            self._tell_spawner(spawner.Form(spawner.ALLOW, gateway, caller.cache_until + ROW_BEYOND_CACHE_S, account))

    # --- the spawner

    def _tell_spawner(self, form: spawner.Form) -> None:
        if self._spawner is None:
            raise Refusal("spawner_unavailable", "there is none at present")
        try:
            spawner.send(self._spawner, form)
        except OSError as failed:
            raise Refusal("spawner_unavailable", str(failed)) from failed

    def _hear_spawner(self, end: socket.socket) -> None:
        try:
            while True:
                data = end.recv(spawner.MAX_MESSAGE_BYTES + 1)
                if not data:
                    raise OSError("end of stream")
                account, _, print_ = spawner.unpack(data, (spawner.STARTED,)).name.partition("\0")
                self._live[account] = print_
        except BlockingIOError:
            return
        except (OSError, spawner.BadForm) as gone:
            log.warning("the spawner is gone: %s", gone)
            asyncio.get_running_loop().remove_reader(end)
            end.close()
            if self._spawner is end:
                self._spawner = None

    # --- the accounts that are served

    async def _watch_accounts(self) -> None:
        """Groups, shells and mappings change while workers run: each is looked up again, and a worker that is out of date goes."""
        while True:
            await asyncio.sleep(self._begin.accounts.recheck_s)
            try:
                await self._recheck()
            except Refusal as refusal:
                log.error("%s: %s", refusal.problem, refusal.detail)
            except TimeoutError:
                log.error("the account directory does not answer")

    async def _recheck(self) -> None:
        if self._identities.file:
            for account in await asyncio.to_thread(self._identities.file.refresh):
                self._revoke(account, "no identity is mapped to it any more")
        if self._begin.single_account:
            return
        for account, started_with in list(self._live.items()):
            problem, now = await fingerprint(account, self._begin.accounts)
            if problem == "account_not_served":
                self._revoke(account, "the site does not serve it any more")
            elif not problem and now != started_with:
                log.warning("the groups of %s have changed: its worker retires", account)
                del self._live[account]
                self._tell_spawner(spawner.Form(spawner.RETIRE, 0, 0.0, account))

    def _revoke(self, account: str, why: str) -> None:
        log.warning("%s: %s", account, why)
        self._live.pop(account, None)
        for end in self._gateways.values():
            with contextlib.suppress(OSError, packets.ChannelError):
                packets.send(end, Forget())
        self._tell_spawner(spawner.Form(spawner.REVOKE, 0, 0.0, account))

    # --- the observer

    def _hear_observer(self, end: socket.socket, receiver: packets.Receiver[observer_messages.ToProcess]) -> None:
        try:
            ask = receiver.receive(end).message.ask
            outcomes: list[tuple[tuple[str, ...], float]] = [((name,), float(number)) for name, number in self._outcomes.items()]
            packets.send(end, observer_messages.Scraped(ask, self._spawner is not None, {"teapot_identify_total": outcomes}, {}, {}))
        except BlockingIOError:
            return
        except (packets.ChannelError, OSError):
            asyncio.get_running_loop().remove_reader(end)
            end.close()


def main(descriptor: int) -> None:
    begin = start.read(descriptor, AuthorityStart)
    process.present("authority", begin.account, begin.log_level)
    tls = ssl.create_default_context(cafile=None if begin.trust.ca == "system" else begin.trust.ca)
    for folder in begin.trust.ca_directories:
        tls.load_verify_locations(capath=folder)

    async def life() -> None:
        fetcher = Fetcher(tls, begin.outbound.proxy, begin.outbound.timeout_s)
        try:
            await Authority(begin, fetcher).run()
        finally:
            await fetcher.close()

    uvloop.run(life())
