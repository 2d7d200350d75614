"""A full disk is told before the body where its length is known, and never leaves anything."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from teapot.configuration import StorageArea
from teapot.worker import namespace
from teapot.worker.area import Area
from teapot.worker.namespace import End
from teapot.worker.refusal import Refusal
from teapot.worker.upload import Upload
from tests.worker_files.accounts import ALICE, as_account, without_tmpfile
from tests.worker_files.conftest import NOWHERE, put, terms, tree
from tests.worker_files.test_area import problem_of

MIB = 1 << 20


@pytest.fixture(params=["tmpfs", "ext4"])
def small(request: pytest.FixtureRequest) -> Iterator[Path]:
    """ALICE's, on a file system with room for about 2 MiB."""
    with tempfile.TemporaryDirectory(prefix="teapot-small-") as made, contextlib.ExitStack() as mounted:
        where, image = Path(made) / "mounted", Path(made) / "image"
        Path(made).chmod(0o755)
        where.mkdir()
        if request.param == "tmpfs":
            run("mount", "-t", "tmpfs", "-o", "size=2m", "teapot-test", where)
        else:
            with image.open("wb") as file:
                file.truncate(3 * MIB)
            run("mkfs.ext4", "-q", "-b", "1024", "-O", "^has_journal", "-m", "0", image)
            run("mount", "-o", "loop", image, where)
        mounted.callback(run, "umount", where)
        (where / "alice").mkdir()
        os.chown(where / "alice", ALICE, ALICE)
        yield where / "alice"


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True)


@pytest.fixture
def area(small: Path) -> Iterator[Area]:
    root = os.open(small, os.O_PATH | os.O_DIRECTORY)
    yield Area(StorageArea(name="area", path="/area", root=str(small)), root)
    os.close(root)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_body_that_will_not_fit_is_refused_before_it_is_sent(area: Area, small: Path, hidden: bool) -> None:
    def begin() -> None:
        if hidden:
            without_tmpfile()
        Upload(area, b"a/file", terms(), NOWHERE, 10 * MIB)

    assert problem_of(lambda: as_account(begin)) == "no_space"
    assert tree(small) == {}
    assert as_account(lambda: put(area, b"file", bytes(MIB)).created)  # the room is still there


@pytest.mark.parametrize("hidden", [False, True])
def test_a_body_of_unknown_length_that_does_not_fit_leaves_nothing(area: Area, small: Path, hidden: bool) -> None:
    def work() -> None:
        if hidden:
            without_tmpfile()
        put(area, b"file", b"old")
        upload = Upload(area, b"file", terms(), NOWHERE)
        try:
            for _ in range(40):
                upload.write(memoryview(bytes(MIB // 4)))
        finally:
            upload.abort()

    assert problem_of(lambda: as_account(work)) == "no_space"
    assert tree(small) == {"file": b"old"}
    as_account(lambda: put(area, b"file", bytes(MIB)))  # the room is there again


def test_a_small_body_says_so_as_well(area: Area) -> None:
    def work() -> None:
        for number in range(100):
            put(area, b"file%d" % number, bytes(60_000))

    assert problem_of(lambda: as_account(work)) == "no_space"


def test_a_copy_that_does_not_fit_is_removed_again(area: Area, small: Path) -> None:
    def work() -> None:
        for name in (b"tree/a", b"tree/b"):
            put(area, name, bytes(MIB * 3 // 4))
        namespace.copy(End(area, b"tree"), End(area, b"copy"), overwrite=True, deep=True, terms=terms(), journal=NOWHERE)

    assert problem_of(lambda: as_account(work)) == "no_space"
    assert set(tree(small)) == {"tree", "tree/a", "tree/b"}


def test_what_no_storage_can_take_is_refused_at_once(area: Area) -> None:
    with pytest.raises(Refusal) as refused:
        as_account(lambda: Upload(area, b"file", terms(), NOWHERE, 1 << 62))
    assert refused.value.problem in ("file_too_large", "no_space")


def test_a_storage_that_is_mounted_read_only_says_so(area: Area, small: Path) -> None:
    as_account(lambda: put(area, b"file", b"x"))
    run("mount", "-o", "remount,ro", small.parent)
    for path in (b"file", b"new", b"a/new"):
        assert problem_of(lambda path=path: as_account(lambda: put(area, path, b"y"))) == "storage_read_only"
    assert problem_of(lambda: as_account(lambda: namespace.make_collection(area, b"new"))) == "storage_read_only"
    assert problem_of(lambda: as_account(lambda: namespace.delete(area, b"file", terms()))) == "storage_read_only"
