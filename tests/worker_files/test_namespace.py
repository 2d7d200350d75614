"""MKCOL, DELETE and MOVE."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from teapot.worker import namespace, threads
from teapot.worker.area import Area
from teapot.worker.namespace import End, Manner
from teapot.worker.refusal import Refusal
from tests.worker_files.accounts import ALICE, BOB, as_account
from tests.worker_files.conftest import put, terms, tree
from tests.worker_files.test_area import problem_of
from tests.worker_files.test_replace import HINDRANCES, owned
from tests.worker_files.test_upload import spool_of


def fill(root: Path, *names: str) -> None:
    """Names that end in "/" are collections; a file holds its name. All are ALICE's."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(exist_ok=True) if name.endswith("/") else path.write_text(name)
    for above, collections, files in os.walk(root):
        for one in (*collections, *files):
            os.chown(Path(above) / one, ALICE, ALICE, follow_symlinks=False)


def move(area: Area, source: bytes, target: bytes, overwrite: bool = True, **under: object) -> bool:
    return namespace.move(End(area, source), End(area, target), Manner(overwrite, terms(**under)))  # type: ignore[arg-type]


def changed(status: object) -> None:
    raise Refusal("precondition_failed")


# --- MKCOL


def test_a_collection_is_made(area: Area, root: Path) -> None:
    as_account(lambda: namespace.make_collection(area, b"new"))
    assert (root / "new").stat().st_mode & 0o7777 == 0o750


def test_a_collection_is_made_only_once_and_only_in_a_collection(area: Area, root: Path) -> None:
    fill(root, "file", "collection/")
    (root / "dangling").symlink_to("nowhere")
    for path, problem in (
        (b"collection", "already_exists"),
        (b"file", "already_exists"),
        (b"dangling", "already_exists"),
        (b"", "already_exists"),
        (b"missing/new", "parent_missing"),
        (b"dangling/new", "parent_missing"),
        (b"file/new", "parent_missing"),
    ):
        assert problem_of(lambda path=path: as_account(lambda: namespace.make_collection(area, path))) == problem, path


# --- DELETE


def test_a_file_and_a_whole_collection_are_deleted(area: Area, root: Path) -> None:
    fill(root, "file", "tree/a/b/c/file", "tree/file", "tree/empty/", "stays")
    assert as_account(lambda: namespace.delete(area, b"file", terms())) == 1
    assert as_account(lambda: namespace.delete(area, b"tree", terms())) == 7
    assert tree(root) == {"stays": b"stays"}


def test_a_link_is_deleted_never_what_it_points_to(area: Area, root: Path) -> None:
    (root.parent / "outside").mkdir()
    owned(root.parent / "outside" / "file")
    fill(root, "tree/", "inside/file")
    (root / "tree" / "out").symlink_to(root.parent / "outside")
    (root / "tree" / "in").symlink_to("../inside")
    (root / "link").symlink_to("inside")
    fill(root)
    as_account(lambda: namespace.delete(area, b"link", terms()))
    as_account(lambda: namespace.delete(area, b"tree", terms()))
    assert tree(root) == {"inside": None, "inside/file": b"inside/file"}
    assert (root.parent / "outside" / "file").exists()


def test_without_recursion_only_an_empty_collection_goes(area_of: Callable[..., Area], root: Path) -> None:
    area = area_of(recursive_delete="never")
    fill(root, "full/file", "empty/")
    assert problem_of(lambda: as_account(lambda: namespace.delete(area, b"full", terms()))) == "collection_not_empty"
    as_account(lambda: namespace.delete(area, b"empty", terms()))
    assert tree(root) == {"full": None, "full/file": b"full/file"}


@pytest.mark.parametrize("by_capability", [True, False])
def test_with_a_capability_a_full_collection_goes_where_the_area_wants_one(
    area_of: Callable[..., Area], root: Path, by_capability: bool
) -> None:
    area, under = area_of(recursive_delete="token-with-modify"), terms()._replace(by_capability=by_capability)
    fill(root, "full/file", "other/file", "new")
    for act in (
        lambda: namespace.delete(area, b"full", under),
        lambda: namespace.move(End(area, b"new"), End(area, b"other"), Manner(True, under)),
    ):
        if by_capability:
            as_account(act)
        else:
            assert problem_of(lambda act=act: as_account(act)) == "collection_not_empty"
    assert (root / "full").exists() != by_capability and (root / "other").is_file() == by_capability


def test_nothing_and_the_root_cannot_be_deleted(area: Area, root: Path) -> None:
    assert problem_of(lambda: namespace.delete(area, b"missing", terms())) == "not_found"
    assert problem_of(lambda: namespace.delete(area, b"missing/too", terms())) == "not_found"
    fill(root, "file")
    assert problem_of(lambda: namespace.delete(area, b"file/below", terms())) == "not_found"
    assert problem_of(lambda: namespace.delete(area, b"", terms())) == "area_root_fixed"
    assert root.exists()


def test_what_cannot_be_deleted_stays_and_the_log_hears_how_far_it_came(area: Area, root: Path) -> None:
    fill(root, "tree/closed/file", "tree/free")
    os.chown(root / "tree" / "closed", BOB, BOB)
    (root / "tree" / "closed").chmod(0o755)
    with pytest.raises(Refusal) as refused:
        as_account(lambda: namespace.delete(area, b"tree", terms()))
    assert refused.value.problem == "permission_denied" and "1 names were removed" in refused.value.detail
    assert set(tree(root)) == {"tree", "tree/closed", "tree/closed/file"}


def test_a_condition_that_does_not_hold_deletes_nothing(area: Area, root: Path) -> None:
    fill(root, "file", "tree/file")
    for path in (b"file", b"tree"):
        assert (
            problem_of(lambda p=path: as_account(lambda: namespace.delete(area, p, terms(precondition=changed)))) == "precondition_failed"
        )
    assert set(tree(root)) == {"file", "tree", "tree/file"}


def test_a_fifo_and_a_socket_can_be_deleted(area: Area, root: Path) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(root / "socket"))
    for name in (b"fifo", b"socket"):
        as_account(lambda n=name: namespace.delete(area, n, terms()))
    assert list(root.iterdir()) == []


def test_a_tree_as_deep_as_a_path_can_name_is_deleted(area: Area, root: Path) -> None:
    fill(root, "/".join(["d"] * 400) + "/file")
    assert as_account(lambda: namespace.delete(area, b"d", terms())) == 401


# --- MOVE


def test_a_file_and_a_collection_are_moved_and_missing_parents_made(area: Area, root: Path) -> None:
    fill(root, "file", "tree/a/file")
    inode = (root / "file").stat().st_ino
    assert as_account(lambda: move(area, b"file", b"x/y/moved", durable=True))
    assert as_account(lambda: move(area, b"tree", b"z/tree"))
    assert set(tree(root)) == {"x", "x/y", "x/y/moved", "z", "z/tree", "z/tree/a", "z/tree/a/file"}
    assert (root / "x" / "y" / "moved").stat().st_ino == inode


@pytest.mark.parametrize("source", ["file", "tree/file", "empty/"])
@pytest.mark.parametrize("target", ["file", "tree/file", "empty/"])
def test_anything_may_take_the_place_of_anything(area: Area, root: Path, source: str, target: str) -> None:
    fill(root, f"source/{source}", f"target/{target}")
    kind = source.strip("/").split("/")[0]
    other = target.strip("/").split("/")[0]
    assert not as_account(lambda: move(area, f"source/{kind}".encode(), f"target/{other}".encode()))
    moved = {name.replace(f"source/{kind}", f"target/{other}"): None for name in ("source/" + source).strip("/").split("\0")}
    assert set(tree(root)) == {"source", "target", f"target/{other}", *moved}


@pytest.mark.parametrize("target", ["file", "tree/file"])
def test_overwrite_f_keeps_what_is_there(area: Area, root: Path, target: str) -> None:
    fill(root, "source", target)
    before = tree(root)
    assert problem_of(lambda: as_account(lambda: move(area, b"source", target.split("/")[0].encode(), False))) == "exists_no_overwrite"
    assert tree(root) == before


def test_a_token_that_may_not_replace_does_not_move_over(area: Area, root: Path) -> None:
    fill(root, "source", "target")
    assert problem_of(lambda: as_account(lambda: move(area, b"source", b"target", may_replace=False))) == "replace_not_in_scope"
    assert set(tree(root)) == {"source", "target"}


def test_onto_itself_and_into_itself_are_refused(area: Area, root: Path) -> None:
    fill(root, "file", "tree/a/file")
    (root / "alias").symlink_to("tree")
    for source, target in (
        (b"file", b"file"),
        (b"tree", b"tree"),
        (b"tree", b"tree/b"),
        (b"tree", b"tree/a/b"),
        (b"tree", b"tree/new/b"),
        (b"tree", b"alias/a/b"),
        (b"tree/a", b"tree"),
        (b"tree/a/file", b"tree"),
        (b"alias/a/file", b"tree"),
    ):
        assert problem_of(lambda s=source, t=target: as_account(lambda: move(area, s, t))) == "same_resource", (source, target)
    assert set(tree(root)) == {"file", "alias", "tree", "tree/a", "tree/a/file"}


def test_nothing_and_the_root_cannot_be_moved_and_make_no_parents(area: Area, root: Path) -> None:
    fill(root, "file")
    assert problem_of(lambda: as_account(lambda: move(area, b"missing", b"a/b"))) == "not_found"
    assert problem_of(lambda: move(area, b"", b"a")) == "area_root_fixed"
    assert problem_of(lambda: move(area, b"file", b"")) == "area_root_fixed"
    assert problem_of(lambda: as_account(lambda: move(area, b"file", b"a/b", precondition=changed))) == "precondition_failed"
    assert set(tree(root)) == {"file"}


@pytest.mark.parametrize("hinder", HINDRANCES)
def test_what_others_rely_on_is_not_moved_over(area: Area, root: Path, hinder: Callable[[Path], Path]) -> None:
    file = hinder(root)
    owned(root / "source", "new")
    target = os.fsencode(file.relative_to(root))
    assert problem_of(lambda: as_account(lambda: move(area, b"source", target))) == "cannot_replace"
    assert file.read_text() == "old" and (root / "source").read_text() == "new"


def test_or_is_filled_in_place_where_the_area_says_so(area_of: Callable[..., Area], root: Path) -> None:
    file = owned(root / "file", uid=BOB, mode=0o666)
    owned(root / "source", "new")
    inode = file.stat().st_ino
    assert not as_account(lambda: move(area_of(overwrite="in_place"), b"source", b"file"))
    assert tree(root) == {"file": b"new"} and file.stat().st_ino == inode


def test_a_link_is_moved_itself_and_moved_over_itself(area: Area, root: Path) -> None:
    fill(root, "file", "other")
    (root / "link").symlink_to("file")
    fill(root)
    as_account(lambda: move(area, b"link", b"moved"))
    assert (root / "moved").readlink() == Path("file")
    as_account(lambda: move(area, b"other", b"moved"))
    assert not (root / "moved").is_symlink() and (root / "file").read_text() == "file"


def test_to_another_file_system_it_is_copied_whole_and_then_removed(area_of: Callable[..., Area], root: Path) -> None:
    elsewhere = Path("/dev/shm" if str(root).startswith("/tmp") else "/tmp") / f"other-{root.parent.name}"
    elsewhere.mkdir()
    os.chown(elsewhere, ALICE, ALICE)
    try:
        fill(root, "tree/a/file", "file", "linked/file")
        (root / "linked" / "link").symlink_to("file")
        area, other = area_of(recursive_delete="never"), area_of(at=elsewhere)
        for name in (b"file", b"tree"):
            assert as_account(lambda n=name: namespace.move(End(area, n), End(other, b"x/" + n), Manner(True, terms())))
        refused = problem_of(
            lambda: as_account(lambda: namespace.move(End(area, b"linked"), End(other, b"l"), Manner(True, terms())))
        )
        assert refused == "not_a_file"
        assert tree(elsewhere) == {"x": None, "x/file": b"file", "x/tree": None, "x/tree/a": None, "x/tree/a/file": b"tree/a/file"}
        assert set(tree(root)) == {"linked", "linked/file", "linked/link"}
    finally:
        as_account(lambda: [namespace.delete(area_of(at=elsewhere), os.fsencode(one.name), terms()) for one in elsewhere.iterdir()])
        elsewhere.rmdir()


def test_moves_in_opposite_directions_never_wait_for_each_other(area: Area, root: Path) -> None:
    fill(root, "a/one", "b/two")

    def work() -> None:
        def swing(name: bytes, here: bytes, there: bytes) -> None:
            threads.own_umask()
            for _ in range(100):
                move(area, here + name, there + name)
                move(area, there + name, here + name)

        running = [threading.Thread(target=swing, args=one) for one in ((b"one", b"a/", b"b/"), (b"two", b"b/", b"a/"))]
        for one in running:
            one.start()
        for one in running:
            one.join()

    as_account(work)
    assert set(tree(root)) == {"a", "b", "a/one", "b/two"}


def test_a_reader_never_misses_a_file_that_is_moved_over(area: Area, root: Path, folder: Path) -> None:
    spool_of(folder)

    def work() -> int:
        put(area, b"target", b"0")
        missing, done = [], threading.Event()

        def read() -> None:
            while not done.is_set():
                try:
                    area.status(b"target")
                except Refusal as refusal:
                    missing.append(refusal.problem)

        reader = threading.Thread(target=read)
        reader.start()
        for number in range(300):
            put(area, b"source", b"%d" % number)
            move(area, b"source", b"target")
        done.set()
        reader.join()
        return len(missing)

    assert as_account(work) == 0
