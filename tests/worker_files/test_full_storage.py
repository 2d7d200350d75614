"""A full disk is told before the body where its length is known, and never leaves anything."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teapot.configuration import StorageArea
from teapot.worker import namespace
from teapot.worker.area import Area
from teapot.worker.namespace import End, Manner
from teapot.worker.refusal import Refusal
from teapot.worker.upload import Upload
from tests.worker_files.accounts import ALICE, as_account, without_tmpfile
from tests.worker_files.asking import Asker
from tests.worker_files.conftest import NOWHERE, put, terms, tree
from tests.worker_files.file_systems import FileSystems, run
from tests.worker_files.test_area import problem_of
from tests.worker_files.test_conditions import LOCKINFO, UPDATE

MIB = 1 << 20


SMALL: dict[str, tuple[int, tuple[str, ...]]] = {  # MiB, options of mkfs
    "tmpfs": (2, ()),
    "ext4": (3, ("-b", "1024", "-O", "^has_journal")),
    "xfs": (300, ()),
}
# A folder of ALICE's on a file system that keeps quotas (tests/uml): then the matrix is that alone.
QUOTA = os.environ.get("TEAPOT_TEST_QUOTA", "")


class Room:
    """How much there is for ALICE below `root`: what is left of the disk."""

    refusal = "no_space"

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextlib.contextmanager
    def left(self, space: int) -> Iterator[None]:
        """Only so many bytes, for a while."""
        filler = self.root.parent / "more"
        fill(filler, leaving=space)
        yield
        filler.unlink()


class QuotaRoom(Room):
    """What is left of ALICE's quota."""

    refusal = "quota_exceeded"

    @contextlib.contextmanager
    def left(self, space: int) -> Iterator[None]:
        self.limit(self._used() + space)
        yield
        self.limit(self._used() + 2 * MIB)

    def limit(self, space: int = 0, inodes: int = 0) -> None:
        run("setquota", "-u", ALICE, 0, space // 1024, 0, inodes, self.root.parent)

    def _used(self) -> int:
        return sum(path.lstat().st_blocks * 512 for path in (self.root, *self.root.rglob("*")))


@pytest.fixture(params=["quota"] if QUOTA else SMALL)
def room(request: pytest.FixtureRequest) -> Iterator[Room]:
    """About 2 MiB."""
    if QUOTA:
        yield from quota_room()
        return
    size, options = SMALL[request.param]
    with FileSystems(size) as mounted:
        where = mounted.at(request.param, *options)
        fill(where / "filler", leaving=2 * MIB)
        (where / "alice").mkdir()
        os.chown(where / "alice", ALICE, ALICE)
        yield Room(where / "alice")


def quota_room() -> Iterator[QuotaRoom]:
    root = Path(QUOTA) / "alice"
    root.mkdir()
    os.chown(root, ALICE, ALICE)
    room = QuotaRoom(root)
    room.limit(2 * MIB)
    yield room
    run("mount", "-o", "remount,rw", QUOTA)
    shutil.rmtree(root)


@pytest.fixture
def small(room: Room) -> Path:
    return room.root


def fill(filler: Path, leaving: int) -> None:
    """Take all the space but so many bytes; what the file system cannot give it keeps."""
    space = os.statvfs(filler.parent)
    size = space.f_bavail * space.f_frsize - leaving
    with filler.open("wb") as file:
        while size > 0:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
                return
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size -= space.f_frsize


@pytest.fixture
def area(small: Path) -> Iterator[Area]:
    root = os.open(small, os.O_PATH | os.O_DIRECTORY)
    yield Area(StorageArea(name="area", path="/area", root=str(small)), root)
    os.close(root)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_body_that_will_not_fit_is_refused_before_it_is_sent(area: Area, room: Room, small: Path, hidden: bool) -> None:
    def begin() -> None:
        if hidden:
            without_tmpfile()
        Upload(area, b"a/file", terms(), NOWHERE, 10 * MIB)

    assert problem_of(lambda: as_account(begin)) == room.refusal
    assert tree(small) == {}
    assert as_account(lambda: put(area, b"file", bytes(MIB)).created)  # the room is still there


@pytest.mark.parametrize("hidden", [False, True])
def test_a_body_of_unknown_length_that_does_not_fit_leaves_nothing(area: Area, room: Room, small: Path, hidden: bool) -> None:
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

    assert problem_of(lambda: as_account(work)) == room.refusal
    assert tree(small) == {"file": b"old"}
    as_account(lambda: put(area, b"file", bytes(MIB)))  # the room is there again


def test_a_small_body_says_so_as_well(area: Area, room: Room) -> None:
    def work() -> None:
        for number in range(100):
            put(area, b"file%d" % number, bytes(60_000))

    assert problem_of(lambda: as_account(work)) == room.refusal


def test_a_copy_that_does_not_fit_is_removed_again(area: Area, room: Room, small: Path) -> None:
    def work() -> None:
        for name in (b"tree/a", b"tree/b"):
            put(area, name, bytes(MIB * 3 // 4))
        namespace.copy(End(area, b"tree"), End(area, b"copy"), Manner(True, terms()), deep=True, journal=NOWHERE)

    assert problem_of(lambda: as_account(work)) == room.refusal
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


# --- every step of every change, with a little less room each time

CHANGES: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "PUT": ("PUT", b"new", {"body": bytes(5000)}),
    "PUT over a file": ("PUT", b"f", {"body": bytes(5000)}),
    "PUT below parents to be made": ("PUT", b"n/e/w", {"body": bytes(5000)}),
    "PUT of a part": ("PUT", b"f", {"body": bytes(5000), "content_range": b"bytes 5000-9999/*"}),
    "PUT with a long name": ("PUT", b"n" * 255, {"body": b""}),
    "COPY": ("COPY", b"f", {"to": b"new"}),
    "COPY of a collection": ("COPY", b"c", {"to": b"new"}),
    "MOVE to a long name below parents to be made": ("MOVE", b"f", {"to": b"n/e/" + b"w" * 255}),
    "MKCOL": ("MKCOL", b"new", {}),
    "LOCK": ("LOCK", b"f", {"body": LOCKINFO}),
    "LOCK of nothing": ("LOCK", b"new", {"body": LOCKINFO}),
    "PROPPATCH": ("PROPPATCH", b"f", {"body": UPDATE.replace(b">1<", b">" + b"v" * 1500 + b"<")}),
}
BASE = {"f": bytes(5000), "c": None, "c/g": bytes(3000), "c/d": None}


def lay_out(root: Path) -> None:
    for name, content in BASE.items():
        path = root / name
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)
        os.chown(path, ALICE, ALICE)


@pytest.mark.parametrize("change", CHANGES)
def test_however_little_room_there_is_a_change_is_made_whole_or_not_at_all(
    area: Area, room: Room, small: Path, change: str
) -> None:
    method, path, more = CHANGES[change]
    said = []
    for blocks in (*range(14), 20, 32, 64, 128):  # XFS sets many aside for each change
        lay_out(small)
        with room.left(blocks * os.statvfs(small).f_frsize):
            answer = as_account(lambda: Asker(area)(method, path, **more))
        said.append(answer.status)
        if answer.status in (room.refusal, "annotations_full") or b" 507 " in answer.body:
            assert tree(small) == BASE, f"with {blocks} blocks"
            assert not any(name.startswith("user.") for name in os.listxattr(small / "f"))
        else:
            assert answer.status in (200, 201, 207), answer
            assert as_account(lambda: Asker(area)("HEAD", more.get("to", path)).status) == 200
        for member in small.iterdir():
            shutil.rmtree(member) if member.is_dir() else member.unlink()
    assert isinstance(said[-1], int), f"with room it succeeds: {said}"


@contextlib.contextmanager
def without_inodes() -> Iterator[tuple[Path, str]]:
    """A place of ALICE's that is laid out, and what it says when something is to be made."""
    with FileSystems(8) as mounted:
        room = QuotaRoom(Path(QUOTA) / "alice") if QUOTA else Room(mounted.at("tmpfs", "-o", "nr_inodes=8") / "alice")
        room.root.mkdir()
        os.chown(room.root, ALICE, ALICE)
        lay_out(room.root)
        if isinstance(room, QuotaRoom):
            room.limit(inodes=1 + len(BASE))
        else:
            with contextlib.suppress(OSError):
                for number in range(20):
                    (room.root.parent / f"filler-{number}").touch()
        try:
            yield room.root, room.refusal
        finally:
            shutil.rmtree(room.root)


@pytest.mark.parametrize("change", [change for change in CHANGES if change not in ("LOCK", "PROPPATCH")])
def test_without_an_inode_to_spare_it_is_as_with_a_full_disk(change: str) -> None:
    method, path, more = CHANGES[change]
    with without_inodes() as (root, refusal):
        descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY)
        try:
            area = Area(StorageArea(name="area", path="/area", root=str(root)), descriptor)
            assert as_account(lambda: Asker(area)(method, path, **more).status) == refusal
        finally:
            os.close(descriptor)
        assert tree(root) == BASE
