"""The real authority process, with tests in the place of its master, of gateways, the spawner and the observer."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from teapot.channel import observer_messages, packets, spawner_messages, start
from teapot.channel.authority_messages import Caller, Forget, FromAuthority, Identified, Identify, Refused
from teapot.channel.spawner_messages import Form
from teapot.configuration import Accounts, Issuer, Mapping, MappingFile, Outbound, Server, StorageArea, Trust
from teapot.kernel import memfd

PUBLIC_URL = "https://teapot.example.org:8443"
PATIENCE_S = 10.0


def settings(**more: Any) -> dict[str, Any]:
    """Everything of an AuthorityStart but what the process itself is told; a test changes what it is about."""
    return {
        "server": Server(public_url=PUBLIC_URL, shutdown_timeout_s=3.0),
        "trust": Trust(),
        "outbound": Outbound(timeout_s=2.0),
        "issuers": (Issuer(url="https://nowhere.invalid/"),),
        "mapping": Mapping(),
        "accounts": Accounts(),
        "areas": (StorageArea(name="home", path="/home", root="/home/{user}"),),
        "single_account": "",
        **more,
    }


def mapped(path: Path) -> Mapping:
    return Mapping(methods=("file",), file=MappingFile(path=str(path)))


class Gateway:
    """A test in the place of a gateway."""

    def __init__(self, number: int, end: socket.socket) -> None:
        self.number, self.end = number, end
        self._receiver = packets.Receiver[FromAuthority](FromAuthority)
        self._ask = 0

    def ask(self, token: str) -> int:
        self._ask += 1
        packets.send(self.end, Identify(self._ask, f"request-{self._ask}", token))
        return self._ask

    def hear(self) -> FromAuthority:
        self.end.settimeout(PATIENCE_S)
        return self._receiver.receive(self.end).message

    def answer(self, token: str) -> Identified | Refused:
        ask = self.ask(token)
        while True:
            message = self.hear()
            if not isinstance(message, Forget):
                assert message.ask == ask
                return message

    def caller(self, token: str) -> Caller:
        answer = self.answer(token)
        assert isinstance(answer, Identified), answer
        return answer.caller

    def problem(self, token: str) -> str:
        answer = self.answer(token)
        assert isinstance(answer, Refused), answer
        return answer.problem


class Spawner:
    """A test in the place of the spawner."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end

    def heard(self) -> list[Form]:
        """Everything that has been said so far."""
        forms = []
        self.end.setblocking(False)
        try:
            while data := self.end.recv(2048):
                forms.append(spawner_messages.unpack(data, (1, 2, 3)))
        except BlockingIOError:
            pass
        return forms

    def next(self, kind: int, within_s: float = PATIENCE_S) -> Form:
        """The next message of this kind; others are passed over."""
        self.end.settimeout(within_s)
        while True:
            form = spawner_messages.unpack(self.end.recv(2048), (1, 2, 3))
            if form.kind == kind:
                return form

    def started(self, account: str, fingerprint: str, pid: int = 4711) -> None:
        spawner_messages.send(self.end, Form(spawner_messages.STARTED, pid, 0.0, f"{account}\0{fingerprint}"))

    def ended(self, account: str, pid: int) -> None:
        spawner_messages.send(self.end, Form(spawner_messages.ENDED, pid, 0.0, account))


class Authority:
    """`with Authority(settings()) as authority:` its log is in `log`. secret: what the master has read for it."""

    def __init__(self, begin: dict[str, Any], log: Path, secret: str = "") -> None:
        self._master, theirs = packets.pair()
        secrets = start.AuthoritySecrets(alise=secret, issuers=begin.pop("issuer_secrets", {}))
        handed = memfd.sealed("test-secret", msgspec.json.encode(secrets))
        told = start.AuthorityStart(number=1, master=theirs.fileno(), account="test", log_level="debug", secrets=handed, **begin)
        descriptor = start.write(told)
        self.log_path = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-m", "teapot.authority", str(descriptor)],
                pass_fds=(descriptor, theirs.fileno(), handed),
                stderr=errors,
                env={
                    "HTTPS_PROXY": "http://127.0.0.1:9",
                    "HTTP_PROXY": "http://127.0.0.1:9",
                    "PATH": os.environ["PATH"],
                },
            )
        os.close(descriptor)
        os.close(handed)
        theirs.close()
        self._ends: list[socket.socket] = []

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def gateway(self, number: int = 1) -> Gateway:
        return Gateway(number, self._introduce("gateway", number))

    def spawner(self) -> Spawner:
        return Spawner(self._introduce("spawner", 1))

    def scraped(self) -> observer_messages.Scraped:
        end = self._introduce("observer", 1)
        packets.send(end, observer_messages.Scrape(7))
        end.settimeout(PATIENCE_S)
        return packets.Receiver[observer_messages.FromProcess](observer_messages.FromProcess).receive(end).message

    def master_goes(self) -> None:
        self._master.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for end in (self._master, *self._ends):
            end.close()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def _introduce(self, role: str, number: int) -> socket.socket:
        ours, theirs = packets.pair()
        with theirs:
            packets.send(self._master, start.Peer(role, number), descriptors=[theirs.fileno()])
        self._ends.append(ours)
        return ours


def until(holds: Any, within_s: float = PATIENCE_S) -> None:
    """Waits for something that another process is about to do."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)
