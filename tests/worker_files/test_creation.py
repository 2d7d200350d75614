"""What is made in a storage area has the group and the modes that the area says, however it is made."""

import grp
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from teapot.accounts import Account
from teapot.configuration import StorageArea
from teapot.worker import area_roots, namespace
from teapot.worker.area import Area
from teapot.worker.ends import End, Manner
from tests.worker_files.accounts import ALICE, PROJECT, as_account, without_tmpfile
from tests.worker_files.conftest import put, terms
from tests.worker_files.test_area import problem_of

Way = Callable[[Area], object]

MADE: dict[str, tuple[Way, Sequence[str]]] = {
    "PUT": (lambda area: put(area, b"file", b"x"), ["file"]),
    "PUT with missing parents": (lambda area: put(area, b"a/b/file", b"x"), ["a", "a/b", "a/b/file"]),
    "MKCOL": (lambda area: namespace.make_collection(area, b"c"), ["c"]),
    "COPY": (
        lambda area: namespace.copy(End(area, b"old"), End(area, b"new"), Manner(False, terms()), deep=True, journal=None),
        ["new", "new/file"],
    ),
}


def modes(root: Path, names: Sequence[str]) -> dict[str, int]:
    return {name: (root / name).stat().st_mode & 0o7777 for name in names}


def groups(root: Path, names: Sequence[str]) -> set[int]:
    return {(root / name).stat().st_gid for name in names}


@pytest.fixture(autouse=True)
def old(root: Path) -> None:
    """A collection of ALICE's own group."""
    (root / "old").mkdir()
    (root / "old" / "file").write_bytes(b"old")
    for path in (root / "old", root / "old" / "file"):
        os.chown(path, ALICE, ALICE)


@pytest.mark.parametrize("way", MADE)
def test_what_is_made_has_the_areas_group(area_of: Callable[..., Area], root: Path, way: str) -> None:
    make, names = MADE[way]
    as_account(lambda: make(area_of(of_group=PROJECT)), groups=[PROJECT])
    assert groups(root, names) == {PROJECT}
    assert groups(root, ["old", "old/file"]) == {ALICE}


def test_without_a_group_what_is_made_has_the_accounts(area: Area, root: Path) -> None:
    make, names = MADE["PUT with missing parents"]
    as_account(lambda: make(area), groups=[PROJECT])
    assert groups(root, names) == {ALICE}


def test_without_nameless_files_the_group_is_the_same(area_of: Callable[..., Area], root: Path) -> None:
    def upload() -> None:
        without_tmpfile()
        put(area_of(of_group=PROJECT), b"file", b"x")

    as_account(upload, groups=[PROJECT])
    assert groups(root, ["file"]) == {PROJECT} and sorted(os.listdir(root)) == ["file", "old"]


def test_a_file_that_is_replaced_keeps_its_group(area_of: Callable[..., Area], root: Path) -> None:
    as_account(lambda: put(area_of(of_group=PROJECT), b"old/file", b"new"), groups=[PROJECT])
    assert groups(root, ["old/file"]) == {ALICE} and (root / "old" / "file").read_bytes() == b"new"


@pytest.mark.parametrize("way", ["PUT with missing parents", "MKCOL", "COPY"])
def test_collections_have_the_areas_mode_whatever_the_umask(area_of: Callable[..., Area], root: Path, way: str) -> None:
    make, names = MADE[way]
    as_account(lambda: make(area_of(of_group=PROJECT, directory_mode="2770", umask="0077")), groups=[PROJECT])
    collections = [name for name in names if (root / name).is_dir()]
    assert set(modes(root, collections).values()) == {0o2770} and groups(root, names) == {PROJECT}


def test_a_collection_has_the_areas_mode_below_a_default_acl(area_of: Callable[..., Area], root: Path) -> None:
    subprocess.run(["setfacl", "-d", "-m", "u::rwx,g::---,o::---", root], check=True)
    as_account(lambda: namespace.make_collection(area_of(directory_mode="0755"), b"c"))
    assert modes(root, ["c"]) == {"c": 0o755}


def test_a_changed_group_leaves_the_inherited_setgid_bit(area_of: Callable[..., Area], root: Path) -> None:
    root.chmod(0o2750)
    as_account(lambda: namespace.make_collection(area_of(of_group=PROJECT), b"c"), groups=[PROJECT])
    assert modes(root, ["c"])["c"] & 0o2000 and groups(root, ["c"]) == {PROJECT}


def test_a_group_that_the_account_is_not_of_leaves_nothing_behind(area_of: Callable[..., Area], root: Path) -> None:
    for way in MADE.values():
        assert problem_of(lambda make=way[0]: as_account(lambda: make(area_of(of_group=PROJECT)))) == "permission_denied"
    assert sorted(os.listdir(root)) == ["old"]


@pytest.mark.parametrize(("gid", "groups", "refused"), [("own", (), False), ("other", ("own",), False), ("other", ("other",), True)])
def test_who_is_not_of_an_areas_group_is_not_served_there(gid: str, groups: tuple[str, ...], refused: bool) -> None:
    numbers = {"own": grp.getgrnam("games").gr_gid, "other": 61999}
    account = Account("alice", ALICE, numbers[gid], tuple(numbers[one] for one in groups), "/home/alice", "/bin/sh")
    area = StorageArea(name="area", path="/area", root="/srv", group="games")
    if refused:
        assert problem_of(lambda: area_roots.group(area, account)) == "area_root_refused"
    else:
        assert area_roots.group(area, account) == numbers["own"]


def test_a_group_that_nobody_knows_is_refused() -> None:
    account = Account("alice", ALICE, ALICE, (ALICE,), "/home/alice", "/bin/sh")
    area = StorageArea(name="area", path="/area", root="/srv", group="no-such-group")
    assert problem_of(lambda: area_roots.group(area, account)) == "area_root_refused"
