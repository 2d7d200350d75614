"""The fixture that fails a test which leaves something behind does see what is left."""

import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.service import ledger as ledgers
from tests.service.accounts import Account
from tests.service.ledger import Ledger


@pytest.fixture
def impatient(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setattr(ledgers, "_PATIENCE_S", 0.2)
    yield ledger


def test_a_process_of_a_test_account_is_seen(impatient: Ledger, alice: Account) -> None:
    with subprocess.Popen(["sleep", "30"], user=alice.uid, group=alice.gid) as stray:
        assert [one for one in impatient.left_over() if f"process {stray.pid} " in one]
        impatient.end_stray_processes()
        assert impatient.left_over() == []


def test_a_socket_file_is_seen(impatient: Ledger) -> None:
    path = impatient.ground / "left.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        try:
            assert impatient.left_over() == [f"socket {path}"]
        finally:
            path.unlink()


def test_when_nothing_is_left_nothing_is_seen(impatient: Ledger) -> None:
    assert impatient.left_over() == []
