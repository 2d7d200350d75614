"""PUT: all of the new content or all of the old, and nothing else, whatever happens on the way."""

import ctypes
import fcntl
import hashlib
import os
import signal
import subprocess
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from teapot.kernel import landlock
from teapot.worker import checksum, threads
from teapot.worker.area import Area
from teapot.worker.journal import Journal
from teapot.worker.place import locked
from teapot.worker.refusal import Refusal
from teapot.worker.upload import Upload
from tests.worker_files.accounts import ALICE, PROJECT, as_account, start_as_account, without_tmpfile
from tests.worker_files.conftest import NOWHERE, put, terms, tree
from tests.worker_files.test_area import problem_of


@pytest.fixture(params=["tmpfile", "hidden name"])
def staged(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Both ways to keep data before it has its name; to be called in the account's process."""
    return without_tmpfile if request.param == "hidden name" else lambda: None


def test_a_new_file_is_created_and_belongs_to_the_account(area: Area, root: Path, staged: Callable[[], None]) -> None:
    stored = as_account(lambda: (staged(), put(area, b"file", b"content", durable=True))[1])
    status = (root / "file").stat()
    assert stored.created and stored.checksums["adler32"] == zlib.adler32(b"content").to_bytes(4, "big")
    assert (stored.status.st_ino, stored.status.st_size, stored.status.st_mtime_ns) == (status.st_ino, 7, status.st_mtime_ns)
    assert (status.st_uid, status.st_gid, status.st_nlink) == (ALICE, ALICE, 1)
    assert tree(root) == {"file": b"content"}


def test_a_file_is_replaced(area: Area, root: Path, staged: Callable[[], None]) -> None:
    def twice() -> bool:
        staged()
        put(area, b"file", b"longer content")
        return put(area, b"file", b"new", durable=True).created

    assert as_account(twice) is False
    assert tree(root) == {"file": b"new"}


@pytest.mark.parametrize("umask", ["0027", "0002", "0077", "0000"])
@pytest.mark.parametrize("kind", ["plain", "setgid", "default ACL", "both"])
def test_a_new_file_is_what_open_would_have_made(
    area_of: Callable[..., Area], root: Path, staged: Callable[[], None], umask: str, kind: str
) -> None:
    """Mode, group and ACL, in the directory itself and in collections made on the way."""
    if kind in ("setgid", "both"):
        os.chown(root, ALICE, PROJECT)
        root.chmod(0o2770)
    if kind in ("default ACL", "both"):
        subprocess.run(["setfacl", "-d", "-m", "u:61002:rwx,g:61010:r-x,m::rwx,o::-", root], check=True)
    area = area_of(umask=umask)

    def both() -> None:
        staged()
        os.umask(int(umask, 8))
        os.mkdir(root / "reference")
        for name in ("reference-file", "reference/file"):
            os.close(os.open(root / name, os.O_CREAT | os.O_WRONLY, 0o666))
        os.umask(0o777)  # the process's own umask must not matter
        put(area, b"file", b"")
        put(area, b"made/file", b"")

    as_account(both, groups=[PROJECT])
    assert access(root / "file") == access(root / "reference-file")
    assert access(root / "made") == access(root / "reference")
    assert access(root / "made/file") == access(root / "reference/file")


def access(path: Path) -> tuple[object, ...]:
    status = path.stat()
    lists = {name: os.getxattr(path, name) for name in os.listxattr(path) if name.startswith("system.posix_acl")}
    return status.st_mode, status.st_uid, status.st_gid, lists


def test_missing_parents_are_made_at_the_commit_only(area: Area, root: Path, staged: Callable[[], None]) -> None:
    def upload() -> None:
        staged()
        one = Upload(area, b"a/b/c/file", terms(durable=True), NOWHERE)
        one.write(memoryview(b"x"))
        assert not (root / "a").exists()
        one.commit(1, {})

    as_account(upload)
    assert tree(root) == {"a": None, "a/b": None, "a/b/c": None, "a/b/c/file": b"x"}


def test_collections_made_for_an_upload_that_fails_go_again(area: Area, root: Path, staged: Callable[[], None]) -> None:
    seen: list[object] = []

    def fails_at_the_commit(status: object) -> None:
        seen.append(status)
        if len(seen) == 2:
            raise Refusal("precondition_failed")

    def upload() -> None:
        staged()
        put(area, b"a/b/file", b"x", precondition=fails_at_the_commit)

    assert problem_of(lambda: as_account(upload)) == "precondition_failed"
    assert tree(root) == {}


def test_without_create_parents_a_missing_parent_is_a_conflict(area_of: Callable[..., Area], root: Path) -> None:
    assert problem_of(lambda: put(area_of(create_parents=False), b"a/file", b"x")) == "parent_missing"
    assert tree(root) == {}


def test_a_parent_that_is_a_file_and_a_target_that_is_a_collection_are_refused_before_the_body(area: Area, root: Path) -> None:
    (root / "file").write_text("content")
    (root / "collection").mkdir()
    (root / "dangling").symlink_to("nowhere/at/all")
    assert problem_of(lambda: Upload(area, b"file/new", terms(), NOWHERE)) == "is_file"
    assert problem_of(lambda: Upload(area, b"file/a/new", terms(), NOWHERE)) == "is_file"
    assert problem_of(lambda: Upload(area, b"collection", terms(), NOWHERE)) == "is_collection"
    assert problem_of(lambda: Upload(area, b"dangling/new", terms(), NOWHERE)) == "parent_missing"
    assert problem_of(lambda: Upload(area, b"", terms(), NOWHERE)) == "area_root_fixed"


def test_a_directory_that_may_not_be_written_refuses_before_the_body(area: Area, root: Path) -> None:
    (root / "closed").mkdir(mode=0o555)
    assert problem_of(lambda: as_account(lambda: Upload(area, b"closed/new", terms(), NOWHERE))) == "permission_denied"
    assert problem_of(lambda: as_account(lambda: Upload(area, b"closed/a/b/new", terms(), NOWHERE))) == "permission_denied"


def test_a_token_that_may_only_create_does_not_replace(area: Area, root: Path) -> None:
    as_account(lambda: put(area, b"file", b"old"))
    assert problem_of(lambda: as_account(lambda: put(area, b"file", b"new", may_replace=False))) == "replace_not_in_scope"
    assert tree(root) == {"file": b"old"}


def test_a_file_that_appears_during_the_upload_is_judged_at_the_commit(area: Area, root: Path) -> None:
    def upload() -> None:
        one = Upload(area, b"file", terms(may_replace=False), NOWHERE)
        one.write(memoryview(b"mine"))
        (root / "file").write_text("theirs")
        one.commit(4, {})

    assert problem_of(lambda: as_account(upload)) == "replace_not_in_scope"
    assert tree(root) == {"file": b"theirs"}


def test_a_link_at_the_target_stands_for_its_file(area: Area, root: Path) -> None:
    def upload() -> None:
        (root / "data").mkdir()
        (root / "link").symlink_to("data/file")
        assert put(area, b"link", b"first").created
        assert not put(area, b"link", b"second").created

    as_account(upload)
    assert (root / "link").is_symlink() and (root / "data" / "file").read_text() == "second"


@pytest.mark.parametrize("length", [0, 6, 8, 1 << 20])
def test_a_body_of_another_length_than_said_is_never_stored(area: Area, root: Path, staged: Callable[[], None], length: int) -> None:
    def upload() -> None:
        staged()
        one = Upload(area, b"file", terms(), NOWHERE, length)
        one.write(memoryview(b"content"))
        one.commit(length, {})

    assert problem_of(lambda: as_account(upload)) == "body_too_short"
    assert tree(root) == {}


@pytest.mark.parametrize("wanted", [True, False])
def test_a_digest_that_does_not_match_refuses_the_body(area: Area, root: Path, wanted: bool) -> None:
    right = {"adler32": zlib.adler32(b"content").to_bytes(4, "big"), "md5": hashlib.md5(b"content").digest()}

    def upload(expected: dict[str, bytes]) -> None:
        one = Upload(area, b"file", terms(), NOWHERE)
        if wanted:
            one.compute(["md5"])
        one.write(memoryview(b"con"))
        one.write(memoryview(b"tent"))
        one.commit(7, expected)

    for algorithm in right:
        assert problem_of(lambda a=algorithm: as_account(lambda: upload({**right, a: bytes(len(right[a]))}))) == "digest_mismatch"
    assert tree(root) == {}
    as_account(lambda: upload(right))
    assert tree(root) == {"file": b"content"}


def test_an_upload_that_is_called_off_during_its_commit_does_not_take_the_name(area: Area, root: Path) -> None:
    """Whoever sent it was told that it failed: it must not appear afterwards."""

    def upload() -> list[str]:
        put(area, b"file", b"old")
        problems: list[str] = []
        one = Upload(area, b"file", terms(), NOWHERE, 3)
        one.write(memoryview(b"new"))
        with locked(area.root):
            commit = threading.Thread(target=lambda: problems.append(problem_of(lambda: one.commit(3, {}))))
            commit.start()
            time.sleep(0.2)
            one.call_off()
        commit.join()
        return problems

    assert as_account(upload) == ["storage_error"]
    assert tree(root) == {"file": b"old"}


def test_an_abort_leaves_nothing_and_may_come_at_any_time(area: Area, root: Path, staged: Callable[[], None]) -> None:
    def upload() -> None:
        staged()
        before = set(os.listdir("/proc/self/fd"))
        one = Upload(area, b"a/file", terms(), NOWHERE, 1 << 20)
        one.write(memoryview(b"x"))
        one.abort()
        one.abort()
        for late in (lambda: one.write(memoryview(b"x")), lambda: one.commit(1, {})):
            assert problem_of(late) == "storage_error"
        assert set(os.listdir("/proc/self/fd")) == before

    as_account(upload)
    assert tree(root) == {}


def test_no_descriptor_is_left_open_by_an_upload_that_is_refused(area: Area, root: Path) -> None:
    def upload() -> None:
        put(area, b"file", b"x")
        (root / "file").chmod(0o400)
        (root / "linked").symlink_to("file")
        before = set(os.listdir("/proc/self/fd"))
        for path in (b"file", b"linked", b"file/x", b"", b"..", b"a/" * 10 + b"\0"):
            with pytest.raises(Refusal):
                Upload(area, path, terms(), NOWHERE, 1 << 20)
        assert set(os.listdir("/proc/self/fd")) == before

    as_account(upload)


def test_of_many_that_write_one_name_at_once_one_wins_whole(area: Area, root: Path, staged: Callable[[], None]) -> None:
    def work() -> list[int]:
        staged()
        created: list[bool] = []

        def write(number: int) -> None:
            threads.own_umask()
            for _ in range(10):
                created.append(put(area, b"sub/file", bytes([number]) * 100_000).created)

        running = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for one in running:
            one.start()
        for one in running:
            one.join()
        return [len(created), sum(created)]

    assert as_account(work) == [80, 1]
    (content,) = [content for content in tree(root).values() if content]
    assert len(content) == 100_000 and len(set(content)) == 1
    assert set(tree(root)) == {"sub", "sub/file"}


def test_if_none_match_lets_exactly_one_of_many_create(area: Area) -> None:
    def only_new(status: object) -> None:
        if status is not None:
            raise Refusal("precondition_failed")

    def work() -> list[str]:
        outcomes: list[str] = []

        def write() -> None:
            try:
                put(area, b"file", b"x", precondition=only_new)
                outcomes.append("created")
            except Refusal as refusal:
                outcomes.append(refusal.problem)

        running = [threading.Thread(target=write) for _ in range(16)]
        for one in running:
            one.start()
        for one in running:
            one.join()
        return sorted(outcomes)

    assert as_account(work) == ["created"] + 15 * ["precondition_failed"]


@pytest.mark.parametrize("before", [{}, {"file": b"old"}])
def test_a_worker_killed_in_the_middle_leaves_the_old_content_and_nothing_else(
    area: Area, folder: Path, root: Path, staged: Callable[[], None], before: dict[str, bytes]
) -> None:
    for name, content in before.items():
        as_account(lambda n=name, c=content: put(area, n.encode(), c))
    spool = spool_of(folder)

    def upload() -> None:
        staged()
        one = Upload(area, b"file", terms(durable=True), Journal(os.open(spool, os.O_RDONLY)), 1 << 20)
        one.write(memoryview(b"new" * 1000))
        (spool / "ready").touch()
        time.sleep(60)

    child = start_as_account(upload)
    while not (spool / "ready").exists():
        time.sleep(0.01)
    recover = lambda: Journal(os.open(spool, os.O_RDONLY)).recover()  # noqa: E731
    in_flight = tree(root)
    assert (len(in_flight) > len(before)) == (staged is without_tmpfile)
    assert as_account(recover) == 0  # it lives: hands off
    assert tree(root) == in_flight
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert as_account(recover) == len(in_flight) - len(before)
    assert tree(root) == before
    assert as_account(recover) == 0 and {one.name for one in spool.iterdir()} == {"ready"}


def spool_of(folder: Path) -> Path:
    spool = folder / "spool"
    spool.mkdir(mode=0o700)
    os.chown(spool, ALICE, ALICE)
    return spool


def test_killed_at_any_moment_a_replacement_is_whole_and_leaves_no_debris(
    area: Area, folder: Path, root: Path, staged: Callable[[], None]
) -> None:
    spool = spool_of(folder)
    contents = [bytes([digit]) * 50_000 for digit in b"ab"]

    def forever() -> None:
        staged()
        journal = Journal(os.open(spool, os.O_RDONLY))
        while True:
            for content in contents:
                put(area, b"file", content, journal)

    as_account(lambda: put(area, b"file", contents[0]))
    for attempt in range(30):
        child = start_as_account(forever)
        time.sleep(0.01 + 0.0007 * attempt)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        as_account(lambda: Journal(os.open(spool, os.O_RDONLY)).recover())
        assert set(tree(root)) == {"file"}
        assert (root / "file").read_bytes() in contents
    as_account(lambda: Journal(os.open(spool, os.O_RDONLY)).recover())
    assert list(spool.iterdir()) == []


def test_a_directory_locked_by_another_process_is_waited_for(area: Area, root: Path) -> None:
    directory = os.open(root, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    child = start_as_account(lambda: put(area, b"file", b"x"))
    time.sleep(0.3)
    assert tree(root) == {}
    fcntl.flock(directory, fcntl.LOCK_UN)
    os.waitpid(child, 0)
    os.close(directory)
    assert tree(root) == {"file": b"x"}


def test_a_directory_locked_by_another_thread_is_waited_for(area: Area, root: Path) -> None:
    def upload() -> float:
        directory = os.open(root, os.O_RDONLY)
        ready = threading.Event()

        def hold() -> None:
            with locked(directory):
                ready.set()
                time.sleep(0.3)

        holder = threading.Thread(target=hold)
        holder.start()
        ready.wait()
        begun = time.monotonic()
        put(area, b"file", b"x")
        holder.join()
        return time.monotonic() - begun

    assert 0.2 < as_account(upload) < 2


def test_it_all_works_inside_the_cage(area: Area, folder: Path, root: Path, staged: Callable[[], None]) -> None:
    spool = spool_of(folder)

    def work() -> None:
        staged()
        folder_of_notes = os.open(spool, os.O_RDONLY)
        ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
        landlock.restrict([(area.root, landlock.READ_AND_WRITE), (folder_of_notes, landlock.READ_AND_WRITE)])
        journal = Journal(folder_of_notes)
        assert put(area, b"a/b/file", b"old", journal, durable=True).created
        assert not put(area, b"a/b/file", b"new", journal, durable=True).created
        assert journal.recover() == 0
        journal.close()

    as_account(work)
    assert tree(root) == {"a": None, "a/b": None, "a/b/file": b"new"}
    assert list(spool.iterdir()) == []


def test_a_new_version_never_has_the_time_stamp_of_the_old_one(area: Area) -> None:
    stamps = as_account(lambda: [put(area, b"file", b"same").status.st_mtime_ns for _ in range(50)])
    assert len(set(stamps)) == 50


def test_the_checksum_is_stored_beside_the_file(area: Area, root: Path) -> None:
    as_account(lambda: put(area, b"file", b"content"))
    assert os.getxattr(root / "file", checksum.ADLER32) == b"%08x" % zlib.adler32(b"content")


def test_the_time_of_modification_can_be_given(area: Area, root: Path) -> None:
    def upload() -> None:
        one = Upload(area, b"file", terms(), NOWHERE)
        one.mtime_s = 1_234_567_890
        one.commit(0, {})

    as_account(upload)
    assert int((root / "file").stat().st_mtime) == 1_234_567_890
