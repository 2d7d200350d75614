"""HTTP to the letter, on a bare socket: what is refused and how, what a connection is good for afterwards, and what nobody is told."""

import json
import re
import socket
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest

from teapot.channel.packets import Packet
from teapot.channel.worker_messages import Answer, Continue, EndOfBody, Request, ToWorker
from teapot.configuration import Server
from tests.gateway.stage import Stage, Worker, read_all, stage

GIB = 1 << 30


def echoing(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
    """Answers with what was asked; takes the body of an upload and tells its length."""
    length = len(packet.body)
    if request.streamed:
        worker.say(Continue(request.id))
        with socket.socket(fileno=packet.descriptors[0]) as stream:
            while stream.recv(65536):
                pass
        message = worker.next().message
        length = message.length if isinstance(message, EndOfBody) else -1
    body = b"" if request.method == "HEAD" else json.dumps([request.method, request.path.hex(), length]).encode()
    worker.say(Answer(request.id, 200, [(b"content-type", b"application/json")], length=len(body)), body)


def taken(worker: Worker, request: Request, packet: Packet[ToWorker]) -> None:
    """Something is there already."""
    worker.say(Answer(request.id, 0, [], problem="already_exists" if request.method == "MKCOL" else "is_collection"))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    log = tmp_path_factory.mktemp("gateway") / "log"
    with stage(log, {"alice": echoing, "taken": taken}, keepalive_timeout_s=1.0, body_timeout_s=1.0) as one:
        yield one


def request(line: str, *fields: str, token: str = "alice") -> bytes:
    return "\r\n".join([line, "Host: x", f"Authorization: Bearer {token}", *fields, "", ""]).encode("latin-1")


def status(answer: bytes) -> int:
    match = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
    return int(match[1]) if match else 0


def answers(data: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


REFUSED = {
    "Content-Length and Transfer-Encoding": (
        400,
        request("PUT /home/f HTTP/1.1", "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    ),
    "two Content-Lengths": (400, request("PUT /home/f HTTP/1.1", "Content-Length: 3", "Content-Length: 4") + b"abcd"),
    "Content-Length with a sign": (400, request("PUT /home/f HTTP/1.1", "Content-Length: +3") + b"abc"),
    "a list of Content-Lengths": (400, request("PUT /home/f HTTP/1.1", "Content-Length: 3, 3") + b"abc"),
    "Content-Length that is no number": (400, request("PUT /home/f HTTP/1.1", "Content-Length: x") + b"abc"),
    "two Authorizations": (400, request("GET /home/f HTTP/1.1", "Authorization: Bearer bob")),
    "two Hosts": (400, request("GET /home/f HTTP/1.1", "Host: y")),
    "no Host": (400, b"GET /home/f HTTP/1.1\r\nAuthorization: Bearer alice\r\n\r\n"),
    "two Destinations": (400, request("MOVE /home/f HTTP/1.1", "Destination: /home/g", "Destination: /home/h")),
    "a Destination that is neither escaped nor UTF-8": (400, request("MOVE /home/f HTTP/1.1", "Destination: /home/\xe4")),
    "a coding that is not ours": (501, request("PUT /home/f HTTP/1.1", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n"),
    "a compressed body": (415, request("PUT /home/f HTTP/1.1", "Content-Encoding: gzip", "Content-Length: 3") + b"abc"),
    "an expectation that is not ours": (417, request("PUT /home/f HTTP/1.1", "Expect: fly", "Content-Length: 3")),
    "a method that is not ours": (405, request("PATCH /home/f HTTP/1.1")),
    "an unknown method": (400, request("BREW /home/f HTTP/1.1")),
    "no HTTP at all": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "an unknown version": (400, request("GET /home/f HTTP/9.9")),
    "a field name with a blank": (400, request("GET /home/f HTTP/1.1", "Bad Name: x")),
    "a field on two lines": (400, request("GET /home/f HTTP/1.1", "X-Long: a", " b")),
    "a NUL in a value": (400, request("GET /home/f HTTP/1.1", "X-Nul: a\0b")),
    "raw bytes beyond ASCII in the target": (400, request("GET /home/\xe4 HTTP/1.1")),
    "a blank in the target": (400, request("GET /home/a b HTTP/1.1")),
    "a target that is no path": (400, request("GET home/f HTTP/1.1")),
    "a target on another server": (421, request("GET http://other.example.org/home/f HTTP/1.1")),
    "a target of another scheme": (400, request("GET ftp://x/home/f HTTP/1.1")),
    "a target that is all of the server, but for OPTIONS": (400, request("GET * HTTP/1.1")),
    "a TRACE": (405, request("TRACE /home/f HTTP/1.1")),
    "a chunked body by HTTP/1.0": (400, request("PUT /home/f HTTP/1.0", "Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\n\r\n"),
    "a CONNECT": (405, b"CONNECT HTTP/1.1\r\nHost: x\r\n\r\n"),
    "an escaped slash": (400, request("GET /home/a%2Fb HTTP/1.1")),
    "an escaped NUL": (400, request("GET /home/a%00b HTTP/1.1")),
    "a broken escape": (400, request("GET /home/a%zz HTTP/1.1")),
    "dot segments": (400, request("GET /home/../etc HTTP/1.1")),
    "escaped dot segments": (400, request("GET /home/%2e%2E/etc HTTP/1.1")),
    "a token that is not ASCII": (401, request("GET /home/f HTTP/1.1", token="\xe4\xf6")),
    "another scheme": (401, b"GET /home/f HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpi\r\n\r\n"),
    "a field of 33 KiB": (431, request("GET /home/f HTTP/1.1", "X-Long: " + "a" * 33_000)),
    "fields of 64 KiB": (431, request("GET /home/f HTTP/1.1", *(f"X-{number}: " + "a" * 16_000 for number in range(5)))),
    "an endless request line": (431, b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_names_its_request_and_closes_or_goes_on_in_step(gateway: Stage, what: str) -> None:
    wanted, data = REFUSED[what]
    answer = gateway.raw(data, timeout_s=3)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == wanted
    problem = json.loads(body)
    assert f"x-request-id: {problem['request_id']}".encode() in head.lower() and len(problem["request_id"]) == 16
    assert answers(answer) == [wanted], "one answer for one request"


def test_a_refusal_says_nothing_of_what_was_sent(gateway: Stage) -> None:
    secret = "S3cretS3cret"
    for data in (
        request("GET /home/f HTTP/1.1", "X-Long: " + "a" * 33_000, token=secret),
        request("GET /home/f HTTP/1.1", "Bad Name: x", token=secret),
        request(f"GET /home/f HTTP/1.1\r\n{secret}"),
        request("GET /home/f HTTP/1.1", token=secret + "\xe4"),
        f"GET /home/f HTTP/1.1\r\nHost: x\r\nAuthorization: {secret}\r\n\r\n".encode(),
        f"PUT /home/f HTTP/1.1\r\nHost: x\r\nExpect: {secret}\r\n\r\n".encode(),
    ):
        assert secret.encode() not in gateway.raw(data, timeout_s=3)
    said = gateway.log.read_text()
    assert secret not in said and "Traceback" not in said


def test_a_query_is_no_part_of_the_path(gateway: Stage) -> None:
    answer = gateway.raw(request("GET /home/a%3Fb%23c;d?e=f HTTP/1.1", "Connection: close"))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])[1] == b"a?b#c;d".hex()


def test_names_of_any_bytes_arrive_as_they_are(gateway: Stage) -> None:
    name = bytes(byte for byte in range(1, 256) if byte != ord("/"))
    answer = gateway.raw(request("GET /home/" + "".join(f"%{byte:02X}" for byte in name) + " HTTP/1.1", "Connection: close"))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])[1] == name.hex()


def test_a_target_may_be_a_whole_url_of_ours(gateway: Stage) -> None:
    """RFC 9112, section 3.2.2: whatever Host says then."""
    for target, path in (("/home/a%20b?c", b"a b"), ("/home/", b"")):
        answer = gateway.raw(request(f"GET http://127.0.0.1:{gateway.port}{target} HTTP/1.1", "Connection: close"))
        assert json.loads(answer.partition(b"\r\n\r\n")[2])[1] == path.hex()


def test_options_may_be_asked_of_the_server_as_a_whole(gateway: Stage) -> None:
    for target in ("*", f"http://127.0.0.1:{gateway.port}"):
        answer = gateway.raw(request(f"OPTIONS {target} HTTP/1.1", "Connection: close"))
        assert status(answer) == 200 and b"\r\nallow: OPTIONS,GET,HEAD,PUT,DELETE," in answer


def test_a_405_says_what_may_be_done_instead(gateway: Stage) -> None:
    """RFC 9110, section 15.5.6."""
    for line, account, there, not_there in (
        ("PATCH /home/f", "alice", b"PUT", b"PATCH"),
        ("PUT /home/f", "taken", b"PROPFIND", b"PUT"),
        ("MKCOL /home/f", "taken", b"GET", b"MKCOL"),
        ("DELETE /", "alice", b"PROPFIND", b"DELETE"),
    ):
        answer = gateway.raw(request(f"{line} HTTP/1.1", "Connection: close", token=account))
        allowed = re.search(rb"\r\nallow: ([A-Z,]+)\r\n", answer)
        assert status(answer) == 405 and allowed, answer
        assert there in allowed[1].split(b",") and not_there not in allowed[1].split(b",")


def test_a_token_of_16_kib_is_taken(gateway: Stage) -> None:
    answer = gateway.raw(request("GET /home/f HTTP/1.1", "Connection: close", token="t" * 16_384))
    assert status(answer) == 403, "verified, and mapped to nobody"


# --- Expect, and bodies that nobody wants


def test_100_continue_comes_after_authorisation_and_before_the_body(gateway: Stage) -> None:
    for length in (5, 100_000):
        with gateway.connect() as client:
            client.sendall(request("PUT /home/f HTTP/1.1", "Expect: 100-continue", f"Content-Length: {length}", "Connection: close"))
            assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(bytes(length))
            answer = read_all(client)
        assert status(answer) == 200 and json.loads(answer.partition(b"\r\n\r\n")[2])[2] == length


def test_who_may_not_upload_is_told_so_before_a_byte_of_the_body(gateway: Stage) -> None:
    with gateway.connect() as client:
        client.sendall(request("PUT /home/f HTTP/1.1", "Expect: 100-continue", f"Content-Length: {GIB}", token="nobody"))
        answer = read_all(client)
    assert answers(answer) == [403]
    assert b"connection: close" in answer.lower(), "what comes next cannot be told from the body"


def test_a_body_that_was_refused_is_never_read_as_a_request(gateway: Stage) -> None:
    smuggled = request("DELETE /home/f HTTP/1.1")
    data = request("PUT /home/f HTTP/1.1", f"Content-Length: {len(smuggled)}", token="nobody") + smuggled
    assert answers(gateway.raw(data, timeout_s=4)) == [403]


def test_a_body_that_stops_is_told_so_and_the_connection_closes(gateway: Stage) -> None:
    answer = gateway.raw(request("PUT /home/f HTTP/1.1", "Content-Length: 100") + b"only this", timeout_s=5)
    assert answers(answer) == [408] and b"connection: close" in answer.lower()


# --- connections


def test_pipelined_requests_are_answered_in_their_order(gateway: Stage) -> None:
    data = b"".join(request(f"GET /home/{number} HTTP/1.1") for number in range(20)) + request("GET /home/z HTTP/1.1", "Connection: close")
    paths = re.findall(rb'\["GET", "([0-9a-f]+)"', gateway.raw(data))
    assert paths == [str(number).encode().hex().encode() for number in range(20)] + [b"7a"]


def test_http_1_0_closes_unless_it_asks_to_be_kept(gateway: Stage) -> None:
    with gateway.connect() as client:
        client.sendall(request("GET /home/f HTTP/1.0", "Connection: keep-alive"))
        first = client.recv(65536)
        assert b"connection: keep-alive" in first.lower() and b"transfer-encoding" not in first.lower()
        client.sendall(request("GET /home/f HTTP/1.0"))
        last = read_all(client)
    assert status(last) == 200 and b"connection: close" in last.lower()


def test_head_is_get_without_its_body(gateway: Stage) -> None:
    answer = gateway.raw(request("HEAD /home/f HTTP/1.1", "Connection: close"))
    assert status(answer) == 200 and answer.endswith(b"\r\n\r\n")


def test_a_connection_is_kept_after_an_answer_and_after_a_refusal_without_a_body(gateway: Stage) -> None:
    lines = ("GET /home/f", "GET /elsewhere/f", "HEAD /home/f", "PATCH /home/f", "OPTIONS /home/f", "GET /home/a%zz", "GET /home/f")
    data = b"".join(request(f"{line} HTTP/1.1") for line in lines) + request("GET /home/z HTTP/1.1", "Connection: close")
    assert answers(gateway.raw(data)) == [200, 404, 200, 405, 200, 400, 200, 200]


def test_pipelined_uploads_and_downloads_do_not_run_into_each_other(gateway: Stage) -> None:
    put = request("PUT /home/f HTTP/1.1", "Content-Length: 70000") + bytes(70_000)
    chunked = request("PUT /home/f HTTP/1.1", "Transfer-Encoding: chunked") + b"5\r\nabcde\r\n0\r\nX-Trailer: a\r\n\r\n"
    data = put + request("GET /home/a HTTP/1.1") + chunked + request("HEAD /home/b HTTP/1.1") + put
    said = gateway.raw(data + request("GET /home/z HTTP/1.1", "Connection: close"))
    assert answers(said) == [200] * 6
    assert re.findall(rb'\["([A-Z]+)", "[0-9a-f]+", (-?\d+)\]', said) == [
        (b"PUT", b"70000"),
        (b"GET", b"0"),
        (b"PUT", b"5"),
        (b"PUT", b"70000"),
        (b"GET", b"0"),
    ]


def test_idle_connections_stay_open_for_at_least_a_minute_by_default() -> None:
    """Clients use them again after a pause; some take a connection that was closed under their hands for a failure."""
    assert Server(public_url="https://x").keepalive_timeout_s >= 60


def test_every_answer_is_dated(gateway: Stage) -> None:
    asked = [request(f"GET {target} HTTP/1.1", "Connection: close") for target in ("/home/f", "/home/a%zz")]
    for data in (*asked, b"x\r\n\r\n"):
        date = re.search(rb"\r\ndate: (.+?)\r\n", gateway.raw(data, timeout_s=3))
        assert date and abs(parsedate_to_datetime(date[1].decode()).timestamp() - time.time()) < 5


def test_a_connection_that_sends_nothing_is_closed_in_time(gateway: Stage) -> None:
    with gateway.connect(5) as client:
        assert client.recv(100) == b""


def test_a_header_that_never_ends_is_closed_in_time(gateway: Stage) -> None:
    with gateway.connect(5) as client:
        client.sendall(b"GET /home/f HTTP/1.1\r\n")
        for number in range(30):
            try:
                client.sendall(f"X-{number}: slow\r\n".encode())
                if client.recv(1, socket.MSG_DONTWAIT) == b"":
                    return
            except BlockingIOError:
                pass
            except ConnectionError:
                return
            time.sleep(0.1)
    pytest.fail("still open after 3 s")
