"""The minimum that starts, started: public_url, one issuer's url and one storage area."""

import os
import pwd
from pathlib import Path

import pytest

from tests.service import clients
from tests.service.accounts import Account
from tests.service.ledger import Ledger
from tests.service.teapot_process import Teapot


@pytest.fixture
def minimal(ledger: Ledger, ca: Path) -> Teapot:
    """As an ordinary account. Only the admin address is added, so that another Teapot of this machine is not in the way."""
    directory = ledger.folder("minimal")
    tables = {
        "server": {"listen": None},
        "issuer": [{"url": "https://iam.example.org/"}],
        "storage_area": [{"name": "default", "path": "/default", "root": str(directory)}],
    }
    teapot = Teapot(directory, tables, ca, nobody() if os.getuid() == 0 else None)
    teapot.tables["server"]["public_url"] = f"http://127.0.0.1:{teapot.port}"
    return teapot


def nobody() -> Account:
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir))


def test_the_minimum_starts_and_answers_at_its_public_url(minimal: Teapot) -> None:
    minimal.start()
    try:
        answer = clients.request(None, minimal.port, "GET", "/default/file")
        assert answer.status == 401
        assert "note: nobody can use default yet" in minimal.log()
    finally:
        minimal.stop()
