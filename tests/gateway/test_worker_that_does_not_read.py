"""A worker whose threads all hang reads nothing for a while. What it was given before and is not wanted any more, it is told later."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from teapot.channel.packets import ChannelError, Packet
from teapot.channel.worker_messages import Request, ToWorker
from tests.gateway.stage import Worker, stage, well_behaved
from tests.service.teapot_process import wait_for

_LARGE = f"If: (<urn:x:{'x' * 7000}>)\r\n"  # some dozens of them fill the channel


def test_every_request_that_was_given_up_is_cancelled_however_full_the_channel_was(tmp_path: Path) -> None:
    """Otherwise the worker holds a large answer, and its file, ready for ever, and is never idle again."""
    go_on, asked, cancelled = threading.Event(), set[int](), set[int]()

    def hangs_for_a_while(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
        asked.add(request.id)
        go_on.wait(20)
        while True:
            message = worker.next().message
            (asked if isinstance(message, Request) else cancelled).add(message.id)  # type: ignore[union-attr]

    with stage(tmp_path / "log", {"alice": hangs_for_a_while}) as gateway, ThreadPoolExecutor(60) as clients:
        request = f"GET /home/f HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\n{_LARGE}\r\n".encode()
        list(clients.map(lambda _: gateway.raw(request, timeout_s=1.0), range(60)))
        go_on.set()
        wait_for(lambda: len(asked) > 20 and asked <= cancelled, 5, lambda: f"not cancelled: {sorted(asked - cancelled)} of {len(asked)}")


def test_who_waits_for_room_in_a_channel_goes_elsewhere_as_soon_as_that_is_closed(tmp_path: Path) -> None:
    """Nothing was delivered: the next worker does it."""
    full, first = threading.Event(), []

    def hangs_and_dies(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
        if first and first[0] is not worker:
            return well_behaved(worker, request, packet)
        first.append(worker)
        full.wait(20)
        time.sleep(0.5)  # the last one waits for room by now
        worker.end.shutdown(socket.SHUT_RDWR)
        raise ChannelError

    with stage(tmp_path / "log", {"alice": hangs_and_dies}) as gateway, ThreadPoolExecutor(60) as clients:
        asking = [clients.submit(gateway.ask, "alice", fields=_LARGE) for _ in range(60)]
        time.sleep(1.0)
        began = time.monotonic()
        full.set()
        answers = [one.result() for one in asking]
        seconds = time.monotonic() - began
    assert sum(answer.startswith(b"HTTP/1.1 200 ") for answer in answers) > 10
    assert not any(answer.startswith(b"HTTP/1.1 504 ") for answer in answers)
    assert seconds < 5
