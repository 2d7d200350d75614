"""The admin port answers this machine and the networks that are named, and nothing but its three paths."""

import socket
from collections.abc import Callable

import psutil
import pytest

from tests.observer.conftest import RunningObserver, requests

Observe = Callable[..., RunningObserver]


def _other_address() -> str:
    """One of this machine that is not loopback."""
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family == socket.AF_INET and not one.address.startswith("127."):
                return one.address
    raise AssertionError("this machine has no address but loopback")


def test_paths_that_are_not_offered_are_404(observe: Observe) -> None:
    observer = observe()
    for path in ("/", "/metrics/", "/healthz/x", "/etc/passwd", "//metrics"):
        assert observer.get(path).status == 404, path


def test_only_get_and_head(observe: Observe) -> None:
    observer = observe()
    answer = observer.get("/metrics", method="POST")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert observer.get("/healthz", method="HEAD").body == b""


def test_a_query_is_ignored(observe: Observe) -> None:
    assert observe().get("/healthz?verbose=1").status == 200


def test_a_client_that_has_closed_its_sending_side_is_answered(observe: Observe) -> None:
    observer = observe()
    with socket.create_connection(("127.0.0.1", observer.port), 5) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert b" 200 OK" in client.makefile("rb").readline()


@pytest.mark.parametrize("networks, status", [((), 403), (("10.99.99.0/24",), 403), (("0.0.0.0/0",), 200)])
def test_who_is_not_of_this_machine_must_be_named(observe: Observe, networks: tuple[str, ...], status: int) -> None:
    observer = observe(listen_on="0.0.0.0", admin_networks=networks)
    address = _other_address()
    with socket.create_connection((address, observer.port), 5, source_address=(address, 0)) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert int(client.makefile("rb").readline().split()[1]) == status


def test_a_mapped_loopback_address_is_this_machine(observe: Observe) -> None:
    observer = observe(listen_on="::")
    assert observer.get("/healthz").status == 200


def test_connections_that_say_nothing_are_bounded(observe: Observe) -> None:
    observer = observe()
    observer.introduce("gateway", requests(1))
    idle = [socket.create_connection(("127.0.0.1", observer.port), 5) for _ in range(100)]
    try:
        observer.wait_until(lambda: _closed(idle) >= 36, "all are kept open")
        assert _closed(idle) <= 37
    finally:
        for client in idle:
            client.close()
    observer.wait_until(lambda: observer.status("/healthz") == 200, "it does not recover")


def _closed(clients: list[socket.socket]) -> int:
    closed = 0
    for client in clients:
        client.setblocking(False)
        try:
            closed += client.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            continue
    return closed


def test_nonsense_is_answered_without_an_echo_or_a_traceback(observe: Observe) -> None:
    observer = observe()
    with socket.create_connection(("127.0.0.1", observer.port), 5) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"secret" * 3000 + b"\r\n\r\n")
        answer = client.makefile("rb").read()
    assert b"400" in answer.split(b"\r\n")[0]
    assert b"secretsecret" not in answer
    assert "Traceback" not in observer.close()
