"""Where `alise serve` is reached."""

import socket
from pathlib import Path

import pytest

from alise.login.provider import Provider
from teapot.demo.certificates import ServerFiles
from tests.alise.providers.oidc_provider import free_port
from tests.alise.service import AliseProcess


def serving(folder: Path, port: int, files: ServerFiles, ca: Path, *listen: str) -> AliseProcess:
    site = Provider("site", "https://127.0.0.1:1", "alise", "secret", internal=True)
    return AliseProcess(folder, port, [site], files, ca, listen=[each.format(port=port) for each in listen])


def connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize(
    ("listen", "reached"),
    [
        (("[::]:{port}",), {"127.0.0.1", "::1"}),
        (("[::]:{port}", "0.0.0.0:{port}"), {"127.0.0.1", "::1"}),
        (("0.0.0.0:{port}",), {"127.0.0.1"}),
        (("[::1]:{port}", "127.0.0.1:{port}"), {"127.0.0.1", "::1"}),
    ],
    ids=["everywhere", "everywhere_said_twice", "IPv4", "two_addresses"],
)
def test_it_is_reached_at(
    tmp_path: Path, server_files: ServerFiles, ca: Path, listen: tuple[str, ...], reached: set[str]
) -> None:
    port = free_port()
    alise = serving(tmp_path, port, server_files, ca, *listen).start()
    try:
        assert {host for host in ("127.0.0.1", "::1") if connects(host, port)} == reached
    finally:
        alise.stop()


def test_a_port_that_is_taken_is_told_without_a_trace(tmp_path: Path, server_files: ServerFiles, ca: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        said = serving(tmp_path, port, server_files, ca, "127.0.0.1:{port}").run("serve", status=1)
    assert f"127.0.0.1 port {port}: Address already in use" in said and "Traceback" not in said
