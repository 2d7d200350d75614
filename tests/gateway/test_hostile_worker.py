"""A worker is its user's program: whatever it says, only its own requests fail, visibly, and the gateway stays as it was."""

import socket
import threading
import time
from pathlib import Path

import pytest

from teapot.channel.packets import Packet
from teapot.channel.worker_messages import Answer, Continue, End, Request, ToWorker
from tests.gateway.stage import Play, Stage, Worker, stage, well_behaved


def _says(*answers: tuple[dict[str, object], bytes]) -> Play:
    def play(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
        for overrides, body in answers:
            worker.say(Answer(**{"id": request.id, "status": 200, "fields": [], "length": len(body)} | overrides), body)  # type: ignore[arg-type]

    return play


def _sends(data: bytes) -> Play:
    def play(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
        worker.end.send(data)

    return play


def _hangs_up(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
    worker.end.shutdown(socket.SHUT_RDWR)


def _gives_descriptors(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
    socket.send_fds(worker.end, [b"\x01\0\0\0x"], [0, 1, 2])


def _continues(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
    worker.say(Continue(request.id))
    worker.say(Continue(request.id))


def _ends_at_once(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
    worker.say(End(request.id, 0, True))


REFUSED = {
    "an oversize packet": _sends(b"x" * 200_000),
    "a truncated header": _sends(b"\xff\x00\x00\x00abc"),
    "a garbage header": _sends(b"\x03\x00\x00\x00\xc1\xc1\xc1"),
    "a foreign id": _says(({"id": 4711}, b"x")),
    "CR LF in a value": _says(({"fields": [(b"etag", b"a\r\nset-cookie: b")]}, b"x")),
    "NUL in a value": _says(({"fields": [(b"etag", b"a\0b")]}, b"x")),
    "a name outside the list": _says(({"fields": [(b"set-cookie", b"a=b")]}, b"x")),
    "status 99": _says(({"status": 99}, b"x")),
    "status 101": _says(({"status": 101}, b"x")),
    "status 600": _says(({"status": 600}, b"x")),
    "a redirect": _says(({"status": 307, "fields": [(b"content-type", b"text/plain")]}, b"x")),
    "a place to go to": _says(({"status": 201, "fields": [(b"location", b"https://elsewhere.example.org/")]}, b"x")),
    "a challenge": _says(({"status": 401}, b"x")),
    "a problem of another's": _says(({"status": 0, "problem": "token_expired"}, b"")),
    "33 fields": _says(({"fields": [(b"etag", b"a")] * 33}, b"x")),
    "more bytes than announced": _says(({"length": 1}, b"xx")),
    "fewer bytes than announced": _says(({"length": 3}, b"xx")),
    "no bytes though announced": _says(({"length": 100}, b"")),
    "a body with 204": _says(({"status": 204}, b"HTTP/1.1 200 OK\r\n\r\n")),
    "unwanted descriptors": _gives_descriptors,
    "End out of turn": _ends_at_once,
    "Continue twice": _continues,
    "end of the channel": _hangs_up,
}


@pytest.mark.parametrize("breach", REFUSED)
def test_a_breach_fails_the_request_that_it_belongs_to_with_502(tmp_path: Path, breach: str) -> None:
    with stage(tmp_path / "log", {"mallory": REFUSED[breach], "alice": well_behaved}) as gateway:
        assert gateway.ask("alice").startswith(b"HTTP/1.1 200 ")
        assert gateway.ask("mallory").startswith(b"HTTP/1.1 502 ")
        assert gateway.ask("alice").endswith(b"\r\n\r\nfine")
        assert b"Traceback" not in gateway.log.read_bytes()


def test_a_word_that_is_no_locality_is_no_member_of_a_problem(tmp_path: Path) -> None:
    said = {"status": 0, "problem": "offline", "length": None}
    plays = {name: _says((said | {"fields": [(b"locality", name.encode())]}, b"")) for name in ("ELSEWHERE", "NEARLINE")}
    with stage(tmp_path / "log", plays) as gateway:
        assert b'"locality"' not in gateway.ask("ELSEWHERE")
        assert b'"locality":"NEARLINE"' in gateway.ask("NEARLINE")


def test_a_repeated_answer_is_not_given_to_anybody(tmp_path: Path) -> None:
    twice = _says(({}, b"one"), ({}, b"two"))
    with stage(tmp_path / "log", {"mallory": twice, "alice": well_behaved}) as gateway:
        assert b"two" not in gateway.ask("mallory") + gateway.ask("alice")


def test_a_worker_that_never_answers_is_504(tmp_path: Path) -> None:
    with stage(tmp_path / "log", {"mallory": _says()}, answer_timeout_s=0.3) as gateway:
        assert gateway.ask("mallory").startswith(b"HTTP/1.1 504 ")


def test_an_answer_that_comes_too_late_disturbs_nobody_on_that_channel(tmp_path: Path) -> None:
    """It belongs to a request that was given up; the worker could not know that yet."""
    first: list[Request] = []

    def late(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
        if not first:
            first.append(request)
            return
        worker.say(Answer(first[0].id, 200, [], length=4), b"late")
        worker.say(Answer(request.id, 200, [], length=7), b"in time")

    with stage(tmp_path / "log", {"alice": late}, answer_timeout_s=0.5) as gateway:
        assert gateway.ask("alice").startswith(b"HTTP/1.1 504 ")
        assert gateway.ask("alice").endswith(b"in time")


def _answers_for_ever(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
    worker.say(Answer(request.id, 200, [], length=0))
    time.sleep(0.3)  # until the request is over
    while True:
        worker.say(Answer(request.id, 200, [(b"etag", b"x" * 8192)] * 5, length=0))


def test_a_worker_that_answers_for_ever_is_not_heard_any_more(tmp_path: Path) -> None:
    """Each message costs the gateway time, whether it means anything or not."""
    ended = threading.Event()

    def play(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
        try:
            _answers_for_ever(worker, request, packet)
        finally:
            ended.set()

    with stage(tmp_path / "log", {"mallory": play, "alice": well_behaved}) as gateway:
        assert gateway.ask("mallory")
        assert ended.wait(2)
        assert gateway.ask("alice").endswith(b"fine")


def _streams(announced: int | None, body: bytes, told: int | None, complete: bool = True) -> Play:
    """told None: the stream stays open, and no End."""

    def play(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
        worker.say(Answer(request.id, 200, [], streamed=True, length=announced))
        descriptors = worker.next().descriptors
        if not descriptors:
            return  # the gateway wants none of it
        (descriptor,) = descriptors
        stream = socket.socket(fileno=descriptor)
        stream.sendall(body)
        if told is None:
            time.sleep(1)
        stream.close()
        if told is not None:
            worker.say(End(request.id, told, complete))

    return play


LYING = {
    "short": _streams(100, b"x" * 10, 10),
    "short, and End lies": _streams(100, b"x" * 10, 100),
    "long": _streams(10, b"x" * 100, 10),
    "End lies about an unannounced length": _streams(None, b"x" * 10, 11),
    "End says that it is not complete": _streams(None, b"x" * 10, 10, complete=False),
    "the stream stops": _streams(100, b"x" * 10, None),
}


LARGE = 6 << 20  # from 4 MiB on a body goes to a plain connection inside the kernel, unseen by the gateway
LYING_ABOUT_LARGE_ONES = {
    "short": _streams(LARGE, bytes(LARGE - 1), LARGE - 1),
    "short, and End lies": _streams(LARGE, bytes(LARGE - 1), LARGE),
    "End says that it is not complete": _streams(LARGE, bytes(LARGE), LARGE, complete=False),
    "End lies": _streams(LARGE, bytes(LARGE), LARGE - 1),
    "long": _streams(LARGE, bytes(LARGE + 100), LARGE),
    "the stream stops": _streams(LARGE, bytes(LARGE - 1), None),
}


@pytest.mark.parametrize("lie", LYING_ABOUT_LARGE_ONES)
def test_a_large_body_that_is_not_as_told_is_never_longer_and_never_followed_by_another_answer(tmp_path: Path, lie: str) -> None:
    with stage(tmp_path / "log", {"mallory": LYING_ABOUT_LARGE_ONES[lie]}, body_timeout_s=0.3) as gateway:
        twice = b"GET /home/f HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer mallory\r\n\r\n" * 2
        head, _, body = gateway.raw(twice).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ") and len(body) <= LARGE and not body.strip(b"\0")
        assert any(code in gateway.log.read_text() for code in ("file_changed", "worker_silent", "worker_misbehaved"))


@pytest.mark.parametrize("lie", LYING)
def test_a_streamed_body_that_is_not_as_told_is_visibly_cut(tmp_path: Path, lie: str) -> None:
    with stage(tmp_path / "log", {"mallory": LYING[lie]}, body_timeout_s=0.3) as gateway:
        head, _, body = gateway.ask("mallory").partition(b"\r\n\r\n")
        assert len(body) < 100 and not body.endswith(b"0\r\n\r\n")


def test_an_upload_that_was_taken_is_not_given_to_another_worker_without_its_body(tmp_path: Path) -> None:
    """The next one would store an empty file."""
    begun: list[str] = []

    def takes_it_and_goes(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
        begun.append(request.method)
        worker.say(Continue(request.id))
        with socket.socket(fileno=packet.descriptors[0]) as stream:
            while stream.recv(1 << 20):
                pass
        worker.next()
        worker.end.shutdown(socket.SHUT_RD)
        worker.say(Answer(request.id, 200, [], streamed=True))

    with stage(tmp_path / "log", {"mallory": takes_it_and_goes}) as gateway:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (100_000, bytes(100_000))
        answer = gateway.ask("mallory", "PUT", "Transfer-Encoding: chunked\r\n", body)
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert begun == ["PUT"]


def test_head_never_gets_a_body(tmp_path: Path) -> None:
    with stage(tmp_path / "log", {"mallory": _streams(4, b"evil", 4)}, body_timeout_s=0.3) as gateway:
        assert b"evil" not in gateway.ask("mallory", "HEAD")


def test_others_are_not_delayed_and_nothing_is_left_behind(tmp_path: Path) -> None:
    """A stall of the gateway would show in each storm; one of this machine does not."""
    breaches = {f"m{number}": play for number, play in enumerate(REFUSED.values())}
    with stage(tmp_path / "log", {"alice": well_behaved, **breaches}) as gateway:
        for name in ("alice", *breaches):
            gateway.ask(name)
        descriptors, resident = gateway.descriptors(), gateway.resident_bytes()
        assert min(_worst_delay_s(gateway, [*breaches] * 8) for _ in range(3)) <= 0.05
        time.sleep(0.2)
        assert gateway.descriptors() <= descriptors + 1
        assert gateway.resident_bytes() < resident + (16 << 20)


def _worst_delay_s(gateway: Stage, storm_of: list[str]) -> float:
    """The longest that alice waits for a whole request, connection included, while the others' workers misbehave."""
    stop, worst = threading.Event(), 0.0

    def misbehave() -> None:
        for name in storm_of:
            gateway.ask(name)
        stop.set()

    storm = threading.Thread(target=misbehave)
    storm.start()
    while not stop.is_set():
        started = time.monotonic()
        assert gateway.ask("alice").endswith(b"fine")
        worst = max(worst, time.monotonic() - started)
    storm.join()
    return worst
