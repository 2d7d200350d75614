"""Large answers over a plain connection, which the kernel carries: every byte, in order, between other answers, for slow readers too."""

import os
import socket
import time
from pathlib import Path

import pytest

from teapot.channel.packets import Packet
from teapot.channel.worker_messages import Answer, End, Request, ToWorker
from tests.gateway.stage import Worker, read_all, stage, well_behaved

CONTENT = os.urandom(9 << 20)
ASK = b"GET /home/f HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n"
LAST = ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


def large(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
    worker.say(Answer(request.id, 200, [], streamed=True, length=len(CONTENT)))
    (descriptor,) = worker.next().descriptors
    with socket.socket(fileno=descriptor) as stream:
        for at in range(0, len(CONTENT), 700_001):
            stream.sendall(CONTENT[at : at + 700_001])
            time.sleep(0.001)
    worker.say(End(request.id, len(CONTENT), True))


@pytest.mark.parametrize("pause_s", [0, 0.002], ids=["fast reader", "slow reader"])
def test_it_arrives_whole_between_other_answers_of_the_connection(tmp_path: Path, pause_s: float) -> None:
    with stage(tmp_path / "log", {"alice": well_behaved, "bob": large}) as gateway, gateway.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        client.sendall(ASK % b"alice" + ASK % b"bob" + ASK % b"alice" + LAST % b"alice")
        parts = []
        while data := client.recv(65536):
            parts.append(data)
            time.sleep(pause_s)
    before, content, after = b"".join(parts).partition(CONTENT)
    assert content == CONTENT
    assert before.count(b"HTTP/1.1 200 ") == 2 and after.count(b"fine") == 2


def test_its_descriptors_are_closed_when_it_is_over_and_when_its_reader_leaves(tmp_path: Path) -> None:
    with stage(tmp_path / "log", {"bob": large}) as gateway:
        with gateway.connect() as client:
            client.sendall(LAST % b"bob")
            assert read_all(client).endswith(CONTENT)
        before = gateway.descriptors()
        for _ in range(5):
            with gateway.connect() as client:
                client.sendall(ASK % b"bob")
                client.recv(65536)
        end = time.monotonic() + 5
        while gateway.descriptors() > before and time.monotonic() < end:
            time.sleep(0.02)
        assert gateway.descriptors() <= before
        assert "internal error" not in gateway.log.read_text()
