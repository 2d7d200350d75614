"""The listening sockets of the service: one per gateway slot and address, and the observer's. They outlive the processes that accept."""

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
        """Open what the configuration asks for beside what is open, close what it does not ask for any more."""
        server = settings.configuration.server
        for slot in range(settings.gateways):
            self.open_slot(slot, server.listen)
        for slot in [slot for slot in self.of_slot if slot >= settings.gateways]:
            self.close_slot(slot)
        _adapt(self.admin, (server.admin_listen,), shared=False)

    def open_slot(self, slot: int, addresses: tuple[str, ...]) -> None:
        if not self.passed:
            _adapt(self.of_slot.setdefault(slot, {}), addresses, shared=True)

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


def _adapt(open_now: dict[str, socket.socket], wanted: tuple[str, ...], *, shared: bool) -> None:
    for address in wanted:
        if address not in open_now:
            open_now[address] = listening.listen(address, shared=shared)
    for address in [address for address in open_now if address not in wanted]:
        open_now.pop(address).close()
