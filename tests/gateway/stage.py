"""A real gateway process; the authority, the spawner and the workers around it are played by threads of the test."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from teapot.channel import packets, spawner_messages, start
from teapot.channel.authority_messages import Caller, Forget, Identified, Identify
from teapot.channel.worker_messages import Answer, FromWorker, Hello, Request, ToWorker
from teapot.configuration import Server, StorageArea

Play = Callable[["Worker", Request, packets.Packet[ToWorker]], None]


class Worker:
    """The worker's end of one channel; `play` answers each request."""

    def __init__(self, end: socket.socket, play: Play) -> None:
        self.end, self._play = end, play
        self._receiver = packets.Receiver[ToWorker](ToWorker)
        packets.send(end, Hello(1, "scripted"))
        threading.Thread(target=self._run, daemon=True).start()

    def next(self) -> packets.Packet[ToWorker]:
        return self._receiver.receive(self.end, expected_descriptors=1)

    def say(self, message: FromWorker, body: bytes = b"") -> None:
        packets.send(self.end, message, body)

    def _run(self) -> None:
        with contextlib.suppress(packets.ChannelError, OSError), self.end:
            while True:
                packet = self.next()
                if isinstance(packet.message, Request):
                    self._play(self, packet.message, packet)
                else:
                    for descriptor in packet.descriptors:
                        os.close(descriptor)


def well_behaved(worker: Worker, request: Request, packet: packets.Packet[ToWorker]) -> None:
    worker.say(Answer(request.id, 200, [(b"content-type", b"text/plain")], length=4), b"fine")


class Stage:
    """Token "alice" reaches the account alice if somebody plays her worker; anybody else is mapped to no account."""

    def __init__(self, log: Path, plays: dict[str, Play], **server: float) -> None:
        self.plays, self.log = plays, log
        self.asked = 0  # how often the authority was
        self.forgets = False  # each answer of the authority's is void at once
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self._master, master = packets.pair()
        begin = start.GatewayStart(
            number=1,
            master=master.fileno(),
            account="teapot",
            log_level="info",
            server=Server(public_url=f"http://127.0.0.1:{self.port}", **server),  # type: ignore[arg-type]
            areas=(StorageArea(name="home", path="/home", root="/home/{account}"),),
            listening=(listening.fileno(),),
        )
        descriptor = start.write(begin)
        command = [sys.executable, "-I", "-m", "teapot.gateway", str(descriptor)]
        with log.open("wb") as out, listening, master:
            passed = (descriptor, master.fileno(), listening.fileno())
            self.process = subprocess.Popen(command, pass_fds=passed, stderr=out, cwd="/")
        os.close(descriptor)
        self._introduce("authority", self._authority)
        self._introduce("spawner", self._spawner)

    def _introduce(self, role: str, play: Callable[[socket.socket], None]) -> None:
        ours, theirs = packets.pair()
        with theirs:
            packets.send(self._master, start.Peer(role, 0), descriptors=(theirs.fileno(),))
        threading.Thread(target=self._quietly, args=(play, ours), daemon=True).start()

    def _quietly(self, play: Callable[[socket.socket], None], end: socket.socket) -> None:
        with contextlib.suppress(packets.ChannelError, OSError), end:
            play(end)

    def _authority(self, end: socket.socket) -> None:
        receiver = packets.Receiver[Identify](Identify)
        while True:
            ask = receiver.receive(end).message
            accounts = {"home": ask.token} if ask.token in self.plays else {}
            caller = Caller(ask.token, "i", "identity", (), (), False, accounts, {}, time.monotonic() + 60)
            self.asked += 1
            with self._stopped():  # so that it reads both at once
                packets.send(end, Identified(ask.ask, caller))
                if self.forgets:
                    packets.send(end, Forget())

    @contextlib.contextmanager
    def _stopped(self) -> Iterator[None]:
        if not self.forgets:
            yield
            return
        self.process.send_signal(signal.SIGSTOP)
        yield
        self.process.send_signal(signal.SIGCONT)

    def _spawner(self, end: socket.socket) -> None:
        while data := end.recv(2048):
            form = spawner_messages.unpack(data, (spawner_messages.REACH,))
            ours, theirs = packets.pair()
            with theirs:
                reached = spawner_messages.Form(spawner_messages.REACHED, form.number)
                spawner_messages.send(end, reached, theirs.fileno())
            Worker(ours, self.plays[form.name])

    def connect(self, timeout_s: float = 10.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout_s)

    def raw(self, data: bytes, timeout_s: float = 10.0) -> bytes:
        """Everything that comes back until the gateway closes or says nothing more for so long."""
        with self.connect(timeout_s) as client:
            client.sendall(data)
            return read_all(client)

    def ask(self, account: str, method: str = "GET", fields: str = "", body: bytes = b"") -> bytes:
        head = f"{method} /home/f HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {account}\r\nConnection: close\r\n{fields}\r\n"
        return self.raw(head.encode() + body)

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096

    def close(self) -> None:
        self._master.close()
        self.process.terminate()
        try:
            self.process.wait(8)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def read_all(client: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while data := client.recv(65536):
            parts.append(data)
    return b"".join(parts)


@contextlib.contextmanager
def stage(log: Path, plays: dict[str, Play], **server: float) -> Iterator[Stage]:
    one = Stage(log, plays, **server)
    try:
        yield one
    finally:
        one.close()
