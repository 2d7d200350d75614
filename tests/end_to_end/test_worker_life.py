"""What happens to accounts, and to workers, while the service runs: groups change, accounts are locked, nobody comes, everybody comes."""

import os
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teapot.configuration import Accounts
from teapot.demo.issuer import Issuer
from tests.end_to_end.conftest import StartTeapot
from tests.service.accounts import Account
from tests.service.site import ALICE, BOB, Site
from tests.service.teapot_process import Teapot, wait_for
from tests.service.tokens import Tokens

PATIENCE_S = 15.0
TokensFor = Callable[[Teapot], Tokens]


@pytest.fixture(scope="module")
def issuer_tokens(issuer: Issuer) -> TokensFor:
    return lambda teapot: Tokens(issuer, teapot.url())


@pytest.fixture(scope="module")
def watchful(start_teapot: StartTeapot) -> Teapot:
    """Accounts are looked up again each second, as by default every 30 s."""
    return start_teapot({"accounts": {"recheck_s": 1.0}})


@pytest.fixture
def group_folder(site: Site) -> Iterator[tuple[str, Path]]:
    """A new group without members, and a folder that only it may read."""
    group = f"tp-team-{os.getpid()}"
    subprocess.run(["groupadd", group], check=True)
    folder = site.shared / "team"
    folder.mkdir()
    shutil.chown(folder, 0, group)
    folder.chmod(0o770)
    yield group, folder
    shutil.rmtree(folder)
    subprocess.run(["groupdel", group], check=True)


@pytest.fixture
def large(site: Site, alice: Account) -> Iterator[Path]:
    """A file of alice's that does not fit into any buffer on the way."""
    path = site.home_of(alice) / "large"
    with path.open("wb") as file:
        file.truncate(1 << 28)
    os.chown(path, alice.uid, alice.gid)
    yield path
    path.unlink()


def begun_download(teapot: Teapot, token: str) -> ssl.SSLSocket:
    """A client that has read the beginning and goes no further."""
    connection = teapot.connect()
    head = f"GET /home/large HTTP/1.1\r\nHost: localhost:{teapot.port}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode())
    assert connection.recv(15) == b"HTTP/1.1 200 OK"
    return connection


def rest_of(connection: ssl.SSLSocket) -> int:
    """Bytes until the end; ConnectionError, ssl.SSLError: it was cut."""
    connection.settimeout(30)
    received = 0
    while data := connection.recv(1 << 20):
        received += len(data)
    return received


def test_by_default_accounts_are_looked_up_often_enough() -> None:
    assert Accounts().recheck_s <= 60


def test_a_new_group_counts_soon_and_cuts_no_transfer(
    watchful: Teapot, issuer_tokens: TokensFor, alice: Account, group_folder: tuple[str, Path], large: Path
) -> None:
    group, _ = group_folder
    token = issuer_tokens(watchful).of(ALICE)
    assert watchful.request("GET", "/shared/team/", token).status == 403
    connection = begun_download(watchful, token)
    subprocess.run(["usermod", "-aG", group, alice.name], check=True)
    wait_for(lambda: watchful.request("GET", "/shared/team/", token).status == 200, PATIENCE_S, "the new group does not count")
    assert rest_of(connection) > large.stat().st_size
    subprocess.run(["gpasswd", "-d", alice.name, group], check=True, capture_output=True)
    wait_for(lambda: watchful.request("GET", "/shared/team/", token).status == 403, PATIENCE_S, "the old group still counts")


def test_an_account_that_is_locked_is_served_no_more_and_its_transfers_end(
    watchful: Teapot, issuer_tokens: TokensFor, alice: Account, large: Path
) -> None:
    token = issuer_tokens(watchful).of(ALICE)
    connection = begun_download(watchful, token)
    subprocess.run(["usermod", "--shell", "/usr/sbin/nologin", alice.name], check=True)
    try:
        wait_for(lambda: watchful.request("GET", "/home/", token).status == 403, PATIENCE_S, "a locked account is served")
        assert watchful.request("GET", "/home/", token).code == "account_not_served"
        assert _is_cut(connection, large.stat().st_size)
    finally:
        subprocess.run(["usermod", "--shell", "/bin/sh", alice.name], check=True)
    wait_for(lambda: watchful.request("GET", "/home/", token).status == 200, PATIENCE_S, "an unlocked account is not served")


def _is_cut(connection: ssl.SSLSocket, size: int) -> bool:
    try:
        return rest_of(connection) < size
    except (ConnectionError, ssl.SSLError):
        return True


def test_a_worker_that_nobody_needs_leaves_and_comes_back(start_teapot: StartTeapot, issuer_tokens: TokensFor) -> None:
    teapot = start_teapot({"worker": {"idle_timeout_s": 1.0}})
    token = issuer_tokens(teapot).of(ALICE)
    assert teapot.request("GET", "/home/", token).status == 200
    wait_for(lambda: not teapot.processes("worker"), PATIENCE_S, "an idle worker stays")
    assert teapot.request("GET", "/home/", token).status == 200
    assert "unexpected" not in teapot.log()


def test_at_the_maximum_a_newcomer_is_told_when_to_come_back(
    start_teapot: StartTeapot, issuer_tokens: TokensFor, large: Path
) -> None:
    teapot = start_teapot({"worker": {"maximum": 1}})
    as_alice, as_bob = (issuer_tokens(teapot).of(subject) for subject in (ALICE, BOB))
    connection = begun_download(teapot, as_alice)
    refused = teapot.request("GET", "/home/", as_bob)
    assert (refused.status, refused.code) == (503, "too_many_workers")
    assert int(refused.headers["retry-after"]) >= 1
    assert rest_of(connection) > large.stat().st_size
    wait_for(lambda: teapot.request("GET", "/home/", as_bob).status == 200, PATIENCE_S, "there is no room although nobody is busy")
