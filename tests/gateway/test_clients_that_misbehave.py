"""Clients that read nothing, leave, or send without end cost bounded memory, and leave nothing open behind them."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teapot.channel.packets import Packet
from teapot.channel.worker_messages import Answer, Cancel, Continue, EndOfBody, Request, ToWorker
from tests.gateway.stage import Stage, Worker, read_all, stage, well_behaved
from tests.gateway.test_http_messages import request, status
from tests.service.teapot_process import wait_for

MIB = 1 << 20
ENDLESS = 1 << 40


class Observed:
    """What a worker saw of one exchange."""

    def __init__(self) -> None:
        self.moved = 0
        self.ended = threading.Event()
        self.said_last: ToWorker | None = None


class Stalling:
    """Workers with endless files, and such that take uploads, or do not."""

    def __init__(self) -> None:
        self.seen = Observed()

    def endless_file(self, worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
        worker.say(Answer(request.id, 200, [], streamed=True, length=ENDLESS))
        stream = socket.socket(fileno=worker.next().descriptors[0])
        threading.Thread(target=self._pump, args=(stream, self.seen), daemon=True).start()

    def _pump(self, stream: socket.socket, seen: Observed) -> None:
        with stream, contextlib.suppress(OSError):
            while True:
                seen.moved += stream.send(bytes(MIB))
        seen.ended.set()

    def takes_upload(self, worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
        worker.say(Continue(request.id))
        with socket.socket(fileno=packet.descriptors[0]) as stream:
            while data := stream.recv(MIB):
                self.seen.moved += len(data)
        self.seen.said_last = worker.next().message
        self.seen.ended.set()

    def takes_nothing(self, worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
        worker.say(Continue(request.id))
        self.seen.said_last = worker.next().message
        os.close(packet.descriptors[0])
        self.seen.ended.set()

    def refuses_in_the_middle(self, worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
        worker.say(Continue(request.id))
        with socket.socket(fileno=packet.descriptors[0]) as stream:
            stream.recv(100_000)
        worker.say(Answer(request.id, 0, [], problem="no_space"))

    def answers_twice(self, worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
        worker.say(Continue(request.id))
        os.close(packet.descriptors[0])
        for _ in range(2):
            worker.say(Answer(request.id, 201, [], length=0))


@pytest.fixture
def stalling() -> Stalling:
    return Stalling()


@pytest.fixture
def gateway(tmp_path: Path, stalling: Stalling) -> Iterator[Stage]:
    plays = {
        "alice": well_behaved,
        **{f"endless-{number}": stalling.endless_file for number in range(8)},
        "upload": stalling.takes_upload,
        "deaf": stalling.takes_nothing,
        "full": stalling.refuses_in_the_middle,
        "twice": stalling.answers_twice,
    }
    with stage(tmp_path / "log", plays, answer_timeout_s=1.0, body_timeout_s=30.0) as one:
        assert one.ask("alice").endswith(b"fine")
        yield one


def put(token: str, length: int) -> bytes:
    return request("PUT /home/f HTTP/1.1", f"Content-Length: {length}", token=token)


def growth(gateway: Stage, act: Callable[[], None]) -> int:
    before = gateway.resident_bytes()
    act()
    return gateway.resident_bytes() - before


def test_200_000_pipelined_requests_of_a_client_that_reads_nothing_cost_bounded_memory(gateway: Stage) -> None:
    with gateway.connect(3) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        batch = request("GET /home/f HTTP/1.1") * 1000

        def pipeline() -> None:
            with contextlib.suppress(TimeoutError):  # the gateway reads no more: that is what is wanted
                for _ in range(200):
                    client.sendall(batch)

        grown = growth(gateway, pipeline)
        assert gateway.ask("alice").endswith(b"fine"), "others are served meanwhile"
    assert grown < 48 * MIB


def test_a_client_that_reads_nothing_of_a_large_file_costs_bounded_memory(gateway: Stage, stalling: Stalling) -> None:
    with contextlib.ExitStack() as stack:

        def ask() -> None:
            for number in range(8):
                client = stack.enter_context(gateway.connect())
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.sendall(request("GET /home/f HTTP/1.1", token=f"endless-{number}"))
            time.sleep(1)

        assert growth(gateway, ask) < 32 * MIB
        assert gateway.ask("alice").endswith(b"fine"), "others are served meanwhile"


def test_a_client_that_reads_nothing_of_its_answer_is_cut_off(tmp_path: Path, stalling: Stalling) -> None:
    """Else 64 of them would keep an account, or everybody who has no token, from being served."""
    with stage(tmp_path / "log", {"endless": stalling.endless_file}, body_timeout_s=1.0) as gateway, gateway.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(request("GET /home/f HTTP/1.1", token="endless"))
        assert stalling.seen.ended.wait(10)


def test_a_client_that_reads_slowly_is_served(tmp_path: Path, stalling: Stalling) -> None:
    with stage(tmp_path / "log", {"endless": stalling.endless_file}, body_timeout_s=2.0) as gateway, gateway.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(request("GET /home/f HTTP/1.1", token="endless"))
        for _ in range(20):
            assert client.recv(32768)
            assert not stalling.seen.ended.wait(0.3)


def test_when_a_downloading_client_leaves_the_workers_stream_ends(gateway: Stage, stalling: Stalling) -> None:
    before = gateway.descriptors()
    with gateway.connect() as client:
        client.sendall(request("GET /home/f HTTP/1.1", token="endless-0"))
        client.recv(MIB)
    assert stalling.seen.ended.wait(5)
    wait_for(lambda: gateway.descriptors() <= before + 1, 5, "descriptors are left open")  # the channel stays
    assert "ERROR" not in gateway.log.read_text(), "that somebody leaves is no fault of ours"


def test_when_an_uploading_client_leaves_the_worker_is_told_and_never_that_the_body_is_complete(gateway: Stage, stalling: Stalling) -> None:
    with gateway.connect() as client:
        client.sendall(put("upload", 10 * MIB) + bytes(5 * MIB))
        wait_for(lambda: stalling.seen.moved > 0, 5, "nothing arrives")
    assert stalling.seen.ended.wait(5)
    assert isinstance(stalling.seen.said_last, Cancel)


def test_a_chunked_upload_that_is_cut_is_never_complete(gateway: Stage, stalling: Stalling) -> None:
    with gateway.connect() as client:
        client.sendall(request("PUT /home/f HTTP/1.1", "Transfer-Encoding: chunked", token="upload"))
        client.sendall(b"100000\r\n" + bytes(0x100000) + b"\r\n")
        wait_for(lambda: stalling.seen.moved >= MIB, 5, "nothing arrives")
    assert stalling.seen.ended.wait(5)
    assert isinstance(stalling.seen.said_last, Cancel)


def test_a_complete_upload_is_told_with_its_length(gateway: Stage, stalling: Stalling) -> None:
    with gateway.connect() as client:
        client.sendall(request("PUT /home/f HTTP/1.1", "Transfer-Encoding: chunked", token="upload"))
        client.sendall(b"100000\r\n" + bytes(0x100000) + b"\r\n0\r\n\r\n")
        assert stalling.seen.ended.wait(5)
    assert stalling.seen.said_last == EndOfBody(1, MIB)


def test_a_worker_that_takes_no_body_is_not_waited_for(gateway: Stage, stalling: Stalling) -> None:
    """And the upload that nobody takes is not kept in the gateway's memory."""
    with gateway.connect(5) as client:
        client.sendall(put("deaf", 1 << 30))

        def upload() -> None:
            with contextlib.suppress(TimeoutError, ConnectionError):
                while True:
                    client.sendall(bytes(MIB))

        grown = growth(gateway, upload)
        assert status(read_all(client)) in (504, 0), "0: the answer was lost with the reset of a connection that was still sending"
    assert grown < 32 * MIB and stalling.seen.ended.wait(5)


def test_a_worker_may_refuse_in_the_middle_of_a_body(gateway: Stage) -> None:
    with gateway.connect(5) as client:
        client.sendall(put("full", 50 * MIB))
        with contextlib.suppress(ConnectionError):
            for _ in range(50):
                client.sendall(bytes(MIB))
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = read_all(client)
    assert status(answer) in (507, 0)
    assert "no_space" in gateway.log.read_text()


def test_an_answer_before_the_body_was_taken_closes_the_connection(gateway: Stage) -> None:
    smuggled = request("GET /home/f HTTP/1.1")
    with gateway.connect(4) as client:
        client.sendall(put("twice", 100_000) + smuggled)
        answer = read_all(client)
    assert answer.count(b"HTTP/1.1") <= 1
    assert gateway.ask("alice").endswith(b"fine")


def test_garbage_is_not_kept(gateway: Stage) -> None:
    """The parser's errors quote what was sent."""

    def send_garbage() -> None:
        for _ in range(100):
            with contextlib.suppress(ConnectionError):
                gateway.raw(b"GET /" + bytes(300_000))

    send_garbage()
    assert growth(gateway, send_garbage) < 8 * MIB


def test_two_thousand_requests_of_all_kinds_leave_nothing_behind(gateway: Stage) -> None:
    def round_() -> None:
        for token in ("alice", "nobody", "alice"):
            gateway.ask(token)
        gateway.raw(b"nonsense\r\n\r\n", timeout_s=2)
        with gateway.connect() as client:
            client.sendall(request("GET /home/f HTTP/1.1", token="alice")[:40])
        with gateway.connect() as client:
            client.sendall(put("alice", 50_000) + bytes(1000))

    for _ in range(50):
        round_()
    descriptors, resident = gateway.descriptors(), gateway.resident_bytes()
    for _ in range(330):
        round_()
    wait_for(lambda: gateway.descriptors() <= descriptors + 2, 5, "descriptors are left open")
    assert gateway.resident_bytes() < resident + 4 * MIB
