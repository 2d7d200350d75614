"""rclone does all of it with a bearer token over TLS."""

import hashlib
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import StartTeapot
from tests.service.accounts import Account
from tests.service.clients import direct_environment
from tests.service.site import ALICE, Site
from tests.service.teapot_process import Teapot, wait_for
from tests.service.tokens import Tokens

TIMEOUT_S = 60


class Rclone:
    def __init__(self, directory: Path, teapot: Teapot, token: str, vendor: str = "other", area: str = "/home") -> None:
        self._configuration = directory / "rclone.conf"
        descriptor = os.open(self._configuration, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"[teapot]\ntype = webdav\nvendor = {vendor}\nurl = {teapot.url(area)}\nbearer_token = {token}\n")
        self._ca = teapot.ca

    def __call__(self, *arguments: str | Path, data: bytes = b"") -> bytes:
        command = ["rclone", "--config", self._configuration, "--ca-cert", self._ca, "--retries", "1", *arguments]
        done = subprocess.run(command, input=data, capture_output=True, timeout=TIMEOUT_S, env=direct_environment())
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


@pytest.fixture
def rclone(tmp_path: Path, teapot: Teapot, as_alice: str) -> Rclone:
    return Rclone(tmp_path, teapot, as_alice)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Names that need encoding, an empty file, one larger than a message."""
    tree = tmp_path / "tree"
    (tree / "sub folder").mkdir(parents=True)
    (tree / "empty").write_bytes(b"")
    (tree / "sub folder" / "100% #1;v?.dat").write_bytes(b"name")
    (tree / "large.dat").write_bytes(secrets.token_bytes(5_000_000))
    return tree


def names(listing: bytes) -> set[str]:
    return set(listing.decode().splitlines())


def test_a_tree_is_copied_listed_read_checked_and_purged(rclone: Rclone, tree: Path, tmp_path: Path, site: Site, alice: Account) -> None:
    rclone("copy", tree, "teapot:tree")
    assert names(rclone("lsf", "-R", "teapot:tree")) == {"empty", "large.dat", "sub folder/", "sub folder/100% #1;v?.dat"}
    assert rclone("cat", "teapot:tree/sub folder/100% #1;v?.dat") == b"name"
    rclone("check", "--download", tree, "teapot:tree")
    stored = site.home_of(alice) / "tree" / "large.dat"
    assert stored.stat().st_uid == alice.uid
    rclone("purge", "teapot:tree")
    assert not stored.parent.exists()


def test_a_tree_comes_back_as_it_went(rclone: Rclone, tree: Path, tmp_path: Path) -> None:
    rclone("copy", tree, "teapot:back")
    rclone("copy", "teapot:back", tmp_path / "back")
    assert (tmp_path / "back" / "large.dat").read_bytes() == (tree / "large.dat").read_bytes()
    assert (tmp_path / "back" / "empty").read_bytes() == b""


def test_an_upload_of_unknown_length_arrives_whole(rclone: Rclone, tree: Path) -> None:
    data = (tree / "large.dat").read_bytes()
    rclone("rcat", "teapot:streamed.dat", data=data)
    assert rclone("cat", "teapot:streamed.dat") == data


def test_server_side_copy_and_move(rclone: Rclone, tree: Path) -> None:
    rclone("copyto", tree / "large.dat", "teapot:one.dat")
    rclone("copyto", "teapot:one.dat", "teapot:two.dat")
    rclone("moveto", "teapot:one.dat", "teapot:three.dat")
    assert rclone("cat", "teapot:two.dat") == rclone("cat", "teapot:three.dat") == (tree / "large.dat").read_bytes()
    assert {"two.dat", "three.dat"} <= names(rclone("lsf", "teapot:")) and "one.dat" not in names(rclone("lsf", "teapot:"))


def test_a_deleted_file_is_gone(rclone: Rclone, tree: Path) -> None:
    rclone("copyto", tree / "empty", "teapot:short-lived")
    rclone("deletefile", "teapot:short-lived")
    assert "short-lived" not in names(rclone("lsf", "teapot:"))


def test_a_sync_brings_over_what_has_changed_and_nothing_else(rclone: Rclone, tree: Path) -> None:
    rclone("sync", tree, "teapot:synced")
    (tree / "large.dat").unlink()
    (tree / "empty").write_bytes(b"no longer")
    (tree / "new").write_bytes(b"new")
    rclone("sync", tree, "teapot:synced")
    assert names(rclone("lsf", "-R", "teapot:synced")) == {"empty", "new", "sub folder/", "sub folder/100% #1;v?.dat"}
    assert rclone("cat", "teapot:synced/empty") == b"no longer"
    again = rclone("sync", "--dry-run", "--use-json-log", "--log-level", "NOTICE", "--log-file", "/dev/stdout", tree, "teapot:synced")
    assert b"Skipped copy" not in again and b"Skipped delete" not in again
    rclone("check", "--download", tree, "teapot:synced")


@pytest.fixture
def mounted(rclone: Rclone, tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "mounted"
    place.mkdir()
    rclone("mkdir", "teapot:mounted")
    rclone("mount", "teapot:mounted", place, "--daemon", "--vfs-cache-mode", "writes", "--vfs-write-back", "0", "--dir-cache-time", "0")
    yield place
    subprocess.run(["fusermount3", "-u", place], check=True)


def test_a_mount_is_worked_in_like_a_folder(rclone: Rclone, mounted: Path, site: Site, alice: Account) -> None:
    stored = site.home_of(alice) / "mounted"
    content = secrets.token_bytes(3_000_000)
    (mounted / "sub").mkdir()
    (mounted / "sub" / "one.dat").write_bytes(content)
    wait_for(lambda: (stored / "sub" / "one.dat").exists(), 10, "it was not written back")
    assert (stored / "sub" / "one.dat").read_bytes() == content and (stored / "sub" / "one.dat").stat().st_uid == alice.uid
    (mounted / "sub" / "one.dat").rename(mounted / "two.dat")
    with (mounted / "two.dat").open("rb") as file:
        file.seek(2_000_000)
        assert file.read(1000) == content[2_000_000:2_001_000]
    assert sorted(path.name for path in mounted.iterdir()) == ["sub", "two.dat"]
    (mounted / "two.dat").unlink()
    (mounted / "sub").rmdir()
    assert list(stored.iterdir()) == []


@pytest.fixture(scope="module")
def with_md5(start_teapot: StartTeapot) -> Teapot:
    home = {"name": "home", "path": "/home", "root": "{home}/data", "checksums": ["adler32", "md5"]}
    return start_teapot({"storage_area": [home]})


def test_it_sees_the_checksums_that_the_area_keeps_and_compares_by_them(
    with_md5: Teapot, tokens: Tokens, tree: Path, tmp_path: Path, site: Site, alice: Account
) -> None:
    """As ownCloud offers them: nothing is downloaded to be compared."""
    rclone = Rclone(tmp_path, with_md5, tokens.of(ALICE, aud=with_md5.url()), vendor="owncloud")
    rclone("copy", tree, "teapot:summed")
    told = rclone("hashsum", "md5", "teapot:summed").decode()
    assert f"{hashlib.md5((tree / 'large.dat').read_bytes()).hexdigest()}  large.dat" in told
    rclone("check", tree, "teapot:summed")
    stored = site.home_of(alice) / "summed" / "large.dat"
    stored.write_bytes(stored.read_bytes()[::-1])
    wrong = hashlib.md5((tree / "large.dat").read_bytes()).hexdigest()
    assert wrong not in rclone("hashsum", "md5", "teapot:summed").decode(), "somebody has changed it"
