"""Workers as the spawner forks them, and areas for those that a test forks itself."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.accounts import Account
from tests.spawner.conftest import authority, gateway, spawner, start_spawner

__all__ = ["authority", "gateway", "spawner", "start_spawner"]


@pytest.fixture
def area(alice: Account) -> Iterator[Path]:
    """alice's folder, in one that everybody may enter."""
    above = Path(tempfile.mkdtemp(prefix="teapot-cage-"))
    above.chmod(0o755)
    made = above / "alice"
    made.mkdir()
    os.chown(made, alice.uid, alice.gid)
    yield made
    shutil.rmtree(above)
