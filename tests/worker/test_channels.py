"""A channel is served by several threads at once, and nothing that was asked on it stays open that nobody waits for."""

import contextlib
import os
import pwd
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from teapot.accounts import Account
from teapot.channel import packets
from teapot.channel.worker_messages import Answer, Cancel, FromWorker, Request
from teapot.configuration import StorageArea, Worker
from teapot.worker.area import open_areas
from teapot.worker.channels import Channel
from teapot.worker.dispatch import Office
from teapot.worker.journal import Journal
from teapot.worker.pump import Pump
from teapot.worker.traffic import Traffic
from tests.service.teapot_process import wait_for

_THREADS = 8
_REQUESTS = 10_000


def _serve(channel: Channel) -> None:
    """As the crew does while storage is slow: whoever is there takes what comes."""
    poll = select.epoll()
    poll.register(channel.fileno(), select.EPOLLIN)
    while True:
        poll.poll()
        if not channel.take():
            return


@contextlib.contextmanager
def served(root: Path) -> Iterator[tuple[socket.socket, Traffic]]:
    """The gateway's end of a channel, by as many threads as a crew may have."""
    me = pwd.getpwuid(os.getuid())
    account = Account(me.pw_name, me.pw_uid, me.pw_gid, (me.pw_gid,), str(root), me.pw_shell)
    areas = open_areas((StorageArea(name="home", path="/home", root=str(root)),), account, None)
    traffic = Traffic()
    ours, theirs = packets.pair()
    ours.settimeout(10)
    channel = Channel(theirs, time.monotonic() + 60, Office(areas, Journal(None), Worker()), Pump(), traffic, "test")
    for _ in range(_THREADS):
        threading.Thread(target=_serve, args=(channel,), daemon=True).start()
    with ours:
        yield ours, traffic
        channel.abort()


def _read_answers(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while end.recv(packets.MAX_PACKET_BYTES):
            pass


def test_a_request_that_is_called_off_at_once_is_never_left_open(tmp_path: Path) -> None:
    """One thread takes the request, another the cancellation: it must not be the earlier of the two."""
    (tmp_path / "large").write_bytes(bytes(200_000))
    with served(tmp_path) as (ours, traffic):
        threading.Thread(target=_read_answers, args=(ours,), daemon=True).start()
        for number in range(1, _REQUESTS + 1):
            packets.send(ours, Request(number, "r", "GET", "home", b"large", False, 7, {}))
            packets.send(ours, Cancel(number))
        wait_for(lambda: not traffic.open, 5, lambda: f"{traffic.open} requests are still open")


def test_a_large_upload_that_is_refused_leaves_the_channel_to_the_others(tmp_path: Path) -> None:
    """Its stream was closed twice: at best that broke the channel with all transfers on it, at worst it closed somebody else's file."""
    (tmp_path / "large").write_bytes(bytes(200_000))
    with served(tmp_path) as (ours, _):
        receiver = packets.Receiver[FromWorker](FromWorker)
        for number in range(1, 21):
            end, theirs = socket.socketpair()
            with end, theirs:
                refused = Request(number, "r", "PUT", "home", b"large", False, 7, {"if-none-match": b"*"}, streamed=True)
                packets.send(ours, refused, descriptors=[theirs.fileno()])
        packets.send(ours, Request(21, "r", "HEAD", "home", b"large", False, 7, {}))
        answers = {}
        while len(answers) < 21:
            if isinstance(said := receiver.receive(ours).message, Answer):
                answers[said.id] = said.problem or said.status
    assert answers == dict.fromkeys(range(1, 21), "precondition_failed") | {21: 200}
