"""davfs2 mounts a storage area. Run by tests/uml, on a kernel of its own: not every kernel lets davfs2 list a directory."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.accounts import Account
from tests.service.clients import direct_environment
from tests.service.site import Site
from tests.service.teapot_process import Teapot, wait_for

_CONFIGURATION = """\
ask_auth 0
trust_ca_cert {ca}
delay_upload 0
add_header Authorization "Bearer {token}"
"""


@pytest.fixture
def theirs(site: Site, alice: Account) -> Iterator[bytes]:
    """A file that was there before."""
    content = os.urandom(1_000_000)
    alice.run("tee", str(site.home_of(alice) / "theirs.dat"), data=content)
    yield content
    (site.home_of(alice) / "theirs.dat").unlink()


@pytest.fixture
def mounted(tmp_path: Path, teapot: Teapot, as_alice: str, theirs: bytes) -> Iterator[Path]:
    configuration, point = tmp_path / "davfs2.conf", tmp_path / "mounted"
    configuration.touch(mode=0o600)
    configuration.write_text(_CONFIGURATION.format(ca=teapot.ca, token=as_alice))
    point.mkdir()
    _run("mount.davfs", "-o", f"conf={configuration},uid=0", teapot.url("/home/"), str(point))
    yield point
    _run("umount", str(point))


def _run(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, env=direct_environment())
    assert done.returncode == 0, (command, done.stdout, done.stderr)


def test_a_file_is_copied_in_under_a_lock_and_belongs_to_the_mapped_account(
    mounted: Path, teapot: Teapot, site: Site, alice: Account, tmp_path: Path
) -> None:
    content, stored = os.urandom(3_000_000), site.home_of(alice) / "Größe 1.dat"
    (tmp_path / "source").write_bytes(content)
    _run("cp", str(tmp_path / "source"), str(mounted / stored.name))
    wait_for(lambda: stored.exists() and stored.read_bytes() == content, 30, "it was not stored")
    assert (stored.stat().st_uid, stored.stat().st_gid) == (alice.uid, alice.gid)
    assert (mounted / stored.name).read_bytes() == content
    wait_for(lambda: re.search(r" LOCK '/home/Gr\S+ 20", teapot.log()) is not None, 10, "it was not locked")
    (mounted / stored.name).unlink()
    assert not stored.exists()


def test_what_was_there_is_listed_and_read(mounted: Path, theirs: bytes) -> None:
    assert set(os.listdir(mounted)) == {"theirs.dat", "lost+found"}, "the latter is davfs2's own, for what could not be stored"
    assert (mounted / "theirs.dat").read_bytes() == theirs


def test_files_are_changed_moved_between_folders_and_deleted(mounted: Path, site: Site, alice: Account) -> None:
    stored = site.home_of(alice)
    (mounted / "folder").mkdir()
    assert (stored / "folder").stat().st_uid == alice.uid
    (mounted / "folder" / "old").write_bytes(b"one")
    wait_for(lambda: (stored / "folder" / "old").exists() and (stored / "folder" / "old").read_bytes() == b"one", 30, "it was not stored")
    with (mounted / "folder" / "old").open("ab") as file:
        file.write(b", two")
    wait_for(lambda: (stored / "folder" / "old").read_bytes() == b"one, two", 30, "the change was not stored")
    (mounted / "folder" / "old").rename(mounted / "100% new.dat")
    assert (stored / "100% new.dat").read_bytes() == b"one, two"
    assert os.listdir(mounted / "folder") == os.listdir(stored / "folder") == []
    (mounted / "100% new.dat").unlink()
    (mounted / "folder").rmdir()
    assert os.listdir(stored) == ["theirs.dat"]
