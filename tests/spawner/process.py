"""The real spawner process, with tests in the place of its master, of the authority, of gateways and the observer."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import psutil

from teapot.channel import packets, start
from teapot.channel import spawner_messages as messages
from teapot.channel.spawner_messages import Form
from teapot.channel.worker_messages import CHANNEL_VERSION, Answer, Cancel, Continue, FromWorker, Hello, NotServed, Request
from teapot.configuration import Accounts, StorageArea, Worker
from teapot.kernel import credentials
from tests.service.accounts import Account

PATIENCE_S = 10.0


class Reached(NamedTuple):
    """A gateway's answer: a channel, or why there is none."""

    form: Form
    channel: "Channel | None"

    @property
    def reason(self) -> str:
        assert self.form.kind == messages.REFUSED, self.form
        return self.form.name


class Channel:
    """A gateway's end of a channel to a worker."""

    def __init__(self, end: socket.socket) -> None:
        self.end, self._receiver, self._number = end, packets.Receiver[FromWorker](FromWorker), 0
        end.settimeout(PATIENCE_S)
        with contextlib.suppress(packets.PeerGone):
            packets.send(end, Hello(CHANNEL_VERSION, "test"))

    def ask(self, method: str, path: bytes = b"", **more: Any) -> int:
        self._number += 1
        packets.send(self.end, request(self._number, method, path, **more))
        return self._number

    def cancel(self, number: int) -> None:
        packets.send(self.end, Cancel(number))

    def hear(self) -> packets.Packet[FromWorker]:
        """The next message but the Hello."""
        while isinstance((packet := self._receiver.receive(self.end)).message, Hello):
            pass
        return packet

    def answer(self, method: str, path: bytes = b"", **more: Any) -> Answer | NotServed:
        self.ask(method, path, **more)
        said = self.hear().message
        assert isinstance(said, Answer | NotServed), said
        return said


def request(number: int, method: str, path: bytes, **more: Any) -> Request:
    usual = {"area": "home", "collection": False, "rights": 7, "fields": {}}
    return Request(number, f"request-{number}", method, path=path, **{**usual, **more})


class Gateway:
    def __init__(self, number: int, end: socket.socket) -> None:
        self.number, self.end, self._ask = number, end, 0
        end.settimeout(PATIENCE_S)

    def ask(self, account: str) -> int:
        self._ask += 1
        messages.send(self.end, Form(messages.REACH, self._ask, 0.0, account))
        return self._ask

    def hear(self) -> Reached:
        data, descriptors, _, _ = socket.recv_fds(self.end, messages.MAX_MESSAGE_BYTES, 4, socket.MSG_CMSG_CLOEXEC)
        assert data, "the spawner has ended this gateway"
        form = messages.unpack(data, (messages.REACHED, messages.REFUSED))
        channels = [Channel(socket.socket(fileno=descriptor)) for descriptor in descriptors]
        assert len(channels) == (form.kind == messages.REACHED)
        return Reached(form, channels[0] if channels else None)

    def reach(self, account: str) -> Reached:
        ask = self.ask(account)
        reached = self.hear()
        assert reached.form.number == ask
        return reached

    def channel(self, account: str) -> Channel:
        reached = self.reach(account)
        assert reached.channel is not None, reached.form
        return reached.channel

    @property
    def is_ended(self) -> bool:
        return _is_ended(self.end)


class Authority:
    def __init__(self, end: socket.socket) -> None:
        self.end = end

    def allow(self, gateway: int, account: str, for_s: float = 60.0) -> None:
        messages.send(self.end, Form(messages.ALLOW, gateway, time.monotonic() + for_s, account))

    def revoke(self, account: str) -> None:
        messages.send(self.end, Form(messages.REVOKE, name=account))

    def retire(self, account: str) -> None:
        messages.send(self.end, Form(messages.RETIRE, name=account))

    def next(self, kind: int, within_s: float = PATIENCE_S) -> Form:
        """The next message of this kind; others are passed over."""
        self.end.settimeout(within_s)
        while True:
            form = messages.unpack(self.end.recv(2048), (messages.STARTED, messages.ENDED))
            if form.kind == kind:
                return form

    @property
    def is_ended(self) -> bool:
        return _is_ended(self.end)


class Observer:
    def __init__(self, end: socket.socket) -> None:
        self.end = end
        end.settimeout(PATIENCE_S)

    def counts(self) -> dict[str, float]:
        messages.send(self.end, Form(messages.LIST, 1))
        form = messages.unpack(self.end.recv(2048), (messages.LISTED,))
        return {name: float(value) for name, _, value in (pair.partition("=") for pair in form.name.split())}

    @property
    def is_ended(self) -> bool:
        return _is_ended(self.end)


class Spawner:
    """`with Spawner(account, areas, log) as spawner:` runs as that account with its three capabilities."""

    def __init__(
        self,
        account: Account,
        areas: tuple[StorageArea, ...],
        log: Path,
        policy: Accounts | None = None,
        limits: Mapping[int, int] | None = None,
        **worker: Any,
    ) -> None:
        self._master, theirs = packets.pair()
        settings = Worker(**{"spool": "/nonexistent", **worker})
        begin = start.SpawnerStart(
            number=1, master=theirs.fileno(), account=account.name, log_level="debug",
            accounts=policy or Accounts(), areas=areas, worker=settings, single_account="",
        )  # fmt: skip
        self._begin = begin
        descriptor = start.write(begin)
        self.log_path = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-m", "teapot.spawner", str(descriptor)],
                pass_fds=(descriptor, theirs.fileno()),
                stderr=errors,
                preexec_fn=lambda: _become(account, limits or {}),
                env={"PATH": os.environ["PATH"], "A_SECRET": "of the spawner's environment"},
            )
        os.close(descriptor)
        theirs.close()
        self._ends: list[socket.socket] = []

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def gateway(self, number: int = 1) -> Gateway:
        return Gateway(number, self._introduce("gateway", number))

    def authority(self, number: int = 1, queue_bytes: int = 0) -> Authority:
        return Authority(self._introduce("authority", number, queue_bytes))

    def observer(self) -> Observer:
        return Observer(self._introduce("observer", 1))

    def workers(self, account: Account | None = None) -> list[psutil.Process]:
        """Those that live: a process that has ended and is not reaped yet does not count."""
        return [child for child in psutil.Process(self.process.pid).children() if _lives(child, account)]

    def worker(self, account: Account) -> psutil.Process:
        (found,) = self.workers(account)
        return found

    def renew(self) -> None:
        """It executes itself anew, with the same settings."""
        description = start.write(self._begin)
        packets.send(self._master, start.Renew(), descriptors=[description])
        os.close(description)

    def master_goes(self) -> None:
        self._master.close()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        for end in (self._master, *self._ends):
            end.close()
        try:
            status = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        assert "Traceback" not in self.log, self.log
        assert status == 0 or value, f"the spawner ended with {status}:\n{self.log}"

    def _introduce(self, role: str, number: int, queue_bytes: int = 0) -> socket.socket:
        ours, theirs = packets.pair()
        with theirs:
            if queue_bytes:
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, queue_bytes)
            packets.send(self._master, start.Peer(role, number), descriptors=[theirs.fileno()])
        self._ends.append(ours)
        return ours


def begin_upload(channel: Channel, path: bytes = b"upload") -> socket.socket:
    """A PUT that is open until the end of the body, or this socket's, comes."""
    ours, theirs = socket.socketpair()
    with theirs:
        packets.send(channel.end, request(999, "PUT", path, streamed=True), descriptors=[theirs.fileno()])
    assert isinstance(channel.hear().message, Continue)
    return ours


def _lives(child: psutil.Process, account: Account | None) -> bool:
    try:
        return not has_ended(child) and (account is None or child.uids().real == account.uid)
    except psutil.NoSuchProcess:
        return False


def _become(account: Account, limits: Mapping[int, int]) -> None:
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))
    credentials.become_service(account.uid, account.gid, credentials.SPAWNER_CAPABILITIES)


def until(holds: Callable[[], Any], within_s: float = PATIENCE_S) -> None:
    """Waits for something that another process is about to do."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def has_ended(process: psutil.Process) -> bool:
    """Reaped or not; it may end while it is looked at."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _is_ended(end: socket.socket) -> bool:
    end.settimeout(PATIENCE_S)
    try:
        while end.recv(2048):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True
