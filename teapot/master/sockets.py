"""The listening sockets of the service: one per gateway slot and address, and the observer's. They outlive the processes that accept."""

import contextlib
import socket

from teapot.master import listening
from teapot.master.settings import Settings


class Sockets:
    def __init__(self) -> None:
        self.of_slot: dict[int, dict[str, socket.socket]] = {}
        self.admin: dict[str, socket.socket] = {}
        self.passed: list[socket.socket] = []  # by systemd: shared by all gateways, in place of server.listen

    def open_all(self, settings: Settings) -> None:
        """CannotListen when an address is taken or not ours."""
        self.passed = listening.passed()
        server = settings.configuration.server
        if not self.passed:
            for address in server.listen:
                listening.refuse_if_taken(address)
        self.adapt(settings)

    def adapt(self, settings: Settings) -> None:
        """Open what the configuration asks for beside what is open, close what it does not ask for any more. CannotListen: nothing is."""
        server = settings.configuration.server
        places = [] if self.passed else [self.of_slot.setdefault(slot, {}) for slot in range(settings.gateways)]
        with contextlib.ExitStack() as unless_all:
            for place in places:
                _open(place, server.listen, True, unless_all)
            _open(self.admin, (server.admin_listen,), False, unless_all)
            unless_all.pop_all()
        for place in places:
            _close_others(place, server.listen)
        _close_others(self.admin, (server.admin_listen,))
        for slot in [slot for slot in self.of_slot if slot >= settings.gateways]:
            self.close_slot(slot)

    def open_slot(self, slot: int, addresses: tuple[str, ...]) -> None:
        """Where it was closed; what is open stays as it is."""
        if self.passed or self.of_slot.get(slot):
            return
        with contextlib.ExitStack() as unless_all:
            _open(self.of_slot.setdefault(slot, {}), addresses, True, unless_all)
            unless_all.pop_all()

    def close_slot(self, slot: int) -> None:
        """While nobody accepts on a slot, the kernel must not send it connections."""
        for one in self.of_slot.pop(slot, {}).values():
            one.close()

    def close_gateways(self) -> None:
        for slot in list(self.of_slot):
            self.close_slot(slot)
        for one in self.passed:
            one.close()

    def of(self, slot: int) -> tuple[int, ...]:
        return listening.descriptors(self.passed or list(self.of_slot[slot].values()))

    def of_observer(self) -> tuple[int, ...]:
        return listening.descriptors(list(self.admin.values()))


def _open(open_now: dict[str, socket.socket], wanted: tuple[str, ...], shared: bool, unless_all: contextlib.ExitStack) -> None:
    for address in wanted:
        if address not in open_now:
            open_now[address] = listening.listen(address, shared=shared)
            unless_all.callback(_close, open_now, address)


def _close_others(open_now: dict[str, socket.socket], wanted: tuple[str, ...]) -> None:
    for address in [address for address in open_now if address not in wanted]:
        _close(open_now, address)


def _close(open_now: dict[str, socket.socket], address: str) -> None:
    open_now.pop(address).close()
