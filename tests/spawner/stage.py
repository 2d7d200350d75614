"""A real spawner process, as the master starts it; the test plays the authority, the gateways and the observer at its other ends."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import structs

from teapot.channel import packets, spawner_messages, start
from teapot.channel.spawner_messages import Form
from teapot.channel.worker_messages import Answer, FromWorker, Hello, Request
from teapot.configuration import Accounts, StorageArea, Worker
from teapot.kernel.credentials import SPAWNER_CAPABILITIES
from teapot.master import children
from teapot.master.service_accounts import Identity
from tests.service.accounts import Account

PATIENCE_S = 10.0
FROM_SPAWNER = (
    spawner_messages.REACHED,
    spawner_messages.REFUSED,
    spawner_messages.STARTED,
    spawner_messages.ENDED,
    spawner_messages.LISTED,
)


class Peer:
    """The test's end of a socket to the spawner."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        end.settimeout(PATIENCE_S)

    def say(self, *forms: Form) -> None:
        for form in forms:
            self.end.send(spawner_messages.pack(form))

    def hear(self) -> tuple[Form, list[int]]:
        """EOFError: the spawner has closed this socket."""
        data, descriptors, _, _ = socket.recv_fds(self.end, 2048, 4)
        if not data:
            raise EOFError
        return spawner_messages.unpack(data, FROM_SPAWNER), descriptors

    def hears(self, kind: int) -> Form:
        form, _ = self.hear()
        assert form.kind == kind, form
        return form


class Channel:
    """A gateway's channel to a worker."""

    def __init__(self, descriptor: int) -> None:
        self.end = socket.socket(fileno=descriptor)
        self.end.settimeout(PATIENCE_S)
        self._receiver = packets.Receiver[FromWorker](FromWorker)
        assert isinstance(self.next(), Hello)
        self._number = 0

    def next(self) -> FromWorker:
        return self._receiver.receive(self.end).message

    def ask(self, method: str, path: bytes = b"", area: str = "shared") -> FromWorker:
        self.send(method, path, area)
        return self.next()

    def send(self, method: str, path: bytes = b"", area: str = "shared") -> int:
        self._number += 1
        packets.send(self.end, Request(self._number, "test", method, area, path, False, 7, {"depth": b"0"}))
        return self._number

    def serves(self) -> bool:
        answer = self.ask("PROPFIND")
        return isinstance(answer, Answer) and answer.status == 207


class Stage:
    def __init__(
        self, ground: Path, spawner: Account, worker: dict[str, object], accounts: dict[str, object], area_root: str
    ) -> None:
        self.log = log = ground / "log"
        self._peers: list[Peer] = []  # open until the stage closes, or the test closes one
        self.shared = ground / "shared"
        self.shared.mkdir()
        self.shared.chmod(0o1777)
        begin = start.SpawnerStart(
            number=1,
            master=-1,
            account=spawner.name,
            log_level="info",
            accounts=Accounts(**accounts),  # type: ignore[arg-type]
            areas=(StorageArea(name="shared", path="/shared", root=area_root or str(self.shared)),),
            worker=Worker(spool=str(ground / "spool"), **worker),  # type: ignore[arg-type]
            single_account="",
        )
        self.master, theirs = packets.pair()
        with theirs, log.open("wb") as out:
            stderr = os.dup(2)
            os.dup2(out.fileno(), 2)
            try:
                started = structs.replace(begin, master=theirs.fileno())
                self.pid = children.execute("spawner", started, Identity(spawner.name, spawner.uid, spawner.gid), (), SPAWNER_CAPABILITIES)
            finally:
                os.dup2(stderr, 2)
                os.close(stderr)

    def peer(self, role: str, number: int = 1) -> Peer:
        ours, theirs = packets.pair()
        with theirs:
            packets.send(self.master, start.Peer(role, number), descriptors=(theirs.fileno(),))
        self._peers.append(Peer(ours))
        return self._peers[-1]

    def reach(self, gateway: Peer, account: str, ask: int = 1) -> Channel:
        gateway.say(Form(spawner_messages.REACH, ask, 0.0, account))
        form, descriptors = gateway.hear()
        assert form == Form(spawner_messages.REACHED, ask) and len(descriptors) == 1, form
        return Channel(descriptors[0])

    def refused(self, gateway: Peer, account: str, ask: int = 1) -> str:
        """The reason."""
        gateway.say(Form(spawner_messages.REACH, ask, 0.0, account))
        form, descriptors = gateway.hear()
        assert form.kind == spawner_messages.REFUSED and form.number == ask and not descriptors, form
        return form.name

    def counts(self) -> dict[str, str]:
        observer = self.peer("observer")
        observer.say(Form(spawner_messages.LIST, 1))
        return dict(pair.split("=") for pair in observer.hears(spawner_messages.LISTED).name.split())

    def close(self) -> None:
        """The end of the master's socket ends everything."""
        self.master.close()
        for peer in self._peers:
            peer.end.close()
        deadline = time.monotonic() + PATIENCE_S
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            assert time.monotonic() < deadline, f"the spawner does not end:\n{self.log.read_text()}"
            time.sleep(0.02)


def allow(account: str, gateway: int = 1, seconds: float = 60.0) -> Form:
    return Form(spawner_messages.ALLOW, gateway, time.monotonic() + seconds, account)


def keep_busy(spawner: Stage, channel: Channel) -> None:
    """An answer of which nobody takes the body keeps its worker busy."""
    large = spawner.shared / "large"
    large.write_bytes(bytes(200_000))
    large.chmod(0o644)
    answer = channel.ask("GET", b"large")
    assert isinstance(answer, Answer) and answer.streamed


@contextmanager
def stage(ground: Path, spawner: Account, worker: dict[str, object], accounts: dict[str, object], area_root: str = "") -> Iterator[Stage]:
    """One storage area, at ground/shared or area_root."""
    one = Stage(ground, spawner, worker, accounts, area_root)
    try:
        yield one
    finally:
        one.close()
