"""A real observer process with peers that a test plays: it answers for a gateway, the authority or the spawner, well or badly."""

import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teapot.channel import packets, start
from teapot.channel import spawner_messages as spawner
from teapot.channel.observer_messages import Scrape, Scraped
from teapot.configuration import Server
from tests.service import clients
from tests.service.clients import Answer
from tests.service.teapot_process import wait_for

Reply = Callable[[int], Scraped | spawner.Form | bytes | None]


class Player:
    """One process that the observer talks with. `reply` makes its answer; None: it stays silent."""

    def __init__(self, role: str, reply: Reply) -> None:
        self.role = role
        self.reply = reply
        self.asked = 0
        self.end, self.observers = packets.pair()
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def leave(self) -> None:
        self.end.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.end.close()

    def _play(self) -> None:
        receiver = packets.Receiver[Scrape](Scrape)
        try:
            while True:
                self._answer(self.end.recv(1024) if self.role == "spawner" else receiver.receive(self.end).message)
        except (OSError, EOFError, packets.PeerGone):
            return

    def _answer(self, asked: bytes | Scrape) -> None:
        if not asked:
            raise EOFError
        self.asked += 1
        answer = self.reply(spawner.unpack(asked, (spawner.LIST,)).number if isinstance(asked, bytes) else asked.ask)
        if isinstance(answer, spawner.Form):
            spawner.send(self.end, answer)
        elif isinstance(answer, Scraped):
            packets.send(self.end, answer)
        elif answer:
            self.end.send(answer)


def _listener(address: str) -> socket.socket:
    if address == "::":
        return socket.create_server((address, 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server((address, 0))


class RunningObserver:
    def __init__(
        self, gateways: int = 1, notify_socket: str = "", watchdog_s: float = 0.0, listen_on: str = "127.0.0.1", **server: object
    ) -> None:
        self.master, theirs = packets.pair()
        listener = _listener(listen_on)
        self.port = listener.getsockname()[1]
        begin = start.ObserverStart(
            number=1,
            master=theirs.fileno(),
            account="observer-test",
            log_level="info",
            server=Server(public_url="https://localhost", **server),  # type: ignore[arg-type]
            listening=(listener.fileno(),),
            gateways=gateways,
            notify_socket=notify_socket,
            watchdog_s=watchdog_s,
        )
        description = start.write(begin)
        command = [sys.executable, "-I", "-m", "teapot.observer", str(description)]
        kept = (description, theirs.fileno(), listener.fileno())
        self.process = subprocess.Popen(command, pass_fds=kept, stderr=subprocess.PIPE)
        os.close(description)
        theirs.close()
        listener.close()
        self._numbers = 0
        self._players: list[Player] = []
        self.wait_until(lambda: self.status("/healthz") == 200, "it does not answer")

    def introduce(self, role: str, reply: Reply) -> Player:
        player = Player(role, reply)
        self._players.append(player)
        self._numbers += 1
        packets.send(self.master, start.Peer(role, self._numbers), descriptors=(player.observers.fileno(),))
        player.observers.close()
        return player

    def get(self, path: str, method: str = "GET") -> Answer:
        return clients.request(None, self.port, method, path, timeout_s=10)

    def status(self, path: str) -> int:
        try:
            return self.get(path).status
        except OSError:
            return 0

    def metrics(self) -> dict[str, float]:
        """Series as they are written, with their values."""
        lines = self.get("/metrics").body.decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    def wait_until(self, condition: Callable[[], bool], otherwise: str, timeout_s: float = 10.0) -> None:
        wait_for(condition, timeout_s, otherwise)

    def close(self) -> str:
        """Ends it if it still runs; what it has logged."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, log = self.process.communicate(timeout=10)
        self.master.close()
        for player in self._players:
            player.leave()
        self._players.clear()
        return log.decode()


@pytest.fixture
def observe() -> Iterator[Callable[..., RunningObserver]]:
    """observe(gateways=1, ...): a running observer."""
    running: list[RunningObserver] = []

    def begin(**how: object) -> RunningObserver:
        running.append(RunningObserver(**how))  # type: ignore[arg-type]
        return running[-1]

    yield begin
    for observer in running:
        observer.close()


def gateway(ready: bool = True, **counters: object) -> Reply:
    """A gateway that has counted so many requests (method GET, status 200) and nothing else, unless told."""
    return lambda ask: Scraped(ask, ready, {name: series for name, series in counters.items()}, {}, {})  # type: ignore[misc]


def requests(number: float) -> Reply:
    return gateway(teapot_requests_total=[(("GET", "200"), number)])


def authority(ready: bool = True) -> Reply:
    return lambda ask: Scraped(ask, ready, {"teapot_identify_total": [(("identified",), 3.0)]}, {}, {})


def spawner_with(counts: str = "started=2 start_seconds=0.01 workers_serving=2") -> Reply:
    return lambda ask: spawner.Form(spawner.LISTED, ask, 0.0, counts)


def introduce_the_rest(observer: RunningObserver) -> None:
    """The authority and the spawner, both as they should be."""
    observer.introduce("authority", authority())
    observer.introduce("spawner", spawner_with())


class NotifySocket:
    """What systemd would hear."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def heard(self, within_s: float) -> list[str]:
        """All lines that come within so many seconds."""
        deadline, lines = time.monotonic() + within_s, []
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                if selector.select(left):
                    lines += self._socket.recv(4096).decode().splitlines()
        return lines

    def wait_for(self, line: str, within_s: float = 10.0) -> None:
        self._socket.settimeout(within_s)
        while line not in self._socket.recv(4096).decode().splitlines():
            pass

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def notify_socket(tmp_path: Path) -> Iterator[tuple[str, NotifySocket]]:
    address = str(tmp_path / "notify")
    end = NotifySocket(address)
    yield address, end
    end.close()
