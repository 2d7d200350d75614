"""What a path reaches, and that nothing outside the area is ever one of these things."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from teapot.accounts import Account
from teapot.configuration import StorageArea
from teapot.worker import area_roots
from teapot.worker.area import Area, of_account, open_areas
from teapot.worker.refusal import Refusal
from tests.worker_files.accounts import ALICE, BOB, as_account
from tests.worker_files.conftest import put, tree

ACCOUNT = Account("alice", ALICE, ALICE, (ALICE,), "/home/alice", "/bin/bash")


def problem_of(act: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as refused:
        act()
    return refused.value.problem


def test_a_name_may_hold_any_byte(area: Area, root: Path) -> None:
    names = {b"x%cy" % byte for byte in range(1, 256) if byte != ord("/")}
    as_account(lambda: [put(area, name, name).created for name in names])
    assert set(os.listdir(os.fsencode(root))) == names


@pytest.mark.parametrize("path", [b".", b"..", b"a/../b", b"a//b", b"/a", b"a/", b"a\0b", b"./a"])
def test_segments_that_are_no_names_are_refused(area: Area, path: bytes) -> None:
    assert problem_of(lambda: area.status(path)) == "bad_path"
    assert problem_of(lambda: put(area, path, b"")) == "bad_path"


@pytest.mark.parametrize("path", [b"a" * 256, b"missing/" + b"a" * 256, b"/".join([b"abc"] * 1100)])
def test_names_that_are_too_long_are_refused_before_the_body(area: Area, path: bytes) -> None:
    assert problem_of(lambda: put(area, path, b"")) == "name_too_long"


@pytest.mark.parametrize("text", ["../secret", "../../../../../../etc/passwd", "/etc/passwd", "inside/../../secret"])
@pytest.mark.parametrize("path", [b"link", b"parent/link"])
def test_links_that_leave_the_area_are_refused_for_reading_and_writing(area: Area, root: Path, text: str, path: bytes) -> None:
    (root.parent / "secret").write_text("secret")
    (root / "inside").mkdir()
    (root / "parent").mkdir()
    link = root / os.fsdecode(path)
    link.symlink_to("../" + text if path.startswith(b"parent") and not text.startswith("/") else text)
    for act in (lambda: area.open(path, os.O_RDONLY), lambda: area.status(path), lambda: put(area, path, b"x")):
        assert problem_of(act) == "leaves_area"
    assert (root.parent / "secret").read_text() == "secret"


def test_collections_that_are_links_out_of_the_area_are_refused(area: Area, root: Path) -> None:
    (root / "out").symlink_to("..")
    (root / "absolute").symlink_to(root)
    for path in (b"out/new", b"absolute/new", b"out/a/b/new"):
        assert problem_of(lambda path=path: put(area, path, b"x")) == "leaves_area"
    assert not (root.parent / "new").exists()


def test_relative_links_inside_the_area_are_followed(area: Area, root: Path) -> None:
    (root / "data").mkdir()
    (root / "data" / "file").write_text("content")
    (root / "short").symlink_to("data")
    (root / "data" / "up").symlink_to("../data/file")
    assert area.status(b"short/up").st_size == 7


def test_below_a_file_there_is_nothing(area: Area, root: Path) -> None:
    (root / "file").touch()
    for path in (b"file/x", b"file/x/y", b"missing", b"missing/x"):
        assert problem_of(lambda path=path: area.open(path, os.O_RDONLY)) == "not_found"
        assert problem_of(lambda path=path: area.status(path)) == "not_found"


def test_a_link_to_itself_is_refused(area: Area, root: Path) -> None:
    (root / "loop").symlink_to("loop")
    assert problem_of(lambda: area.status(b"loop")) == "leaves_area"
    assert problem_of(lambda: put(area, b"loop", b"")) == "leaves_area"


def test_the_kernel_decides_what_the_account_may_read(area: Area, root: Path) -> None:
    (root / "private").write_text("bob's")
    (root / "private").chmod(0o600)
    os.chown(root / "private", BOB, BOB)
    assert problem_of(lambda: as_account(lambda: area.open(b"private", os.O_RDONLY))) == "permission_denied"
    assert as_account(lambda: area.status(b"private").st_size) == 5


def test_a_fifo_blocks_nobody(area: Area, root: Path) -> None:
    os.mkfifo(root / "fifo")
    os.chown(root / "fifo", ALICE, ALICE)
    descriptor = area.open(b"fifo", os.O_RDONLY)
    os.close(descriptor)
    assert problem_of(lambda: as_account(lambda: put(area, b"fifo", b"x"))) == "not_a_file"


def test_a_root_that_may_be_entered_but_not_read_is_served(area: Area, root: Path) -> None:
    (root / "open").mkdir(mode=0o755)
    root.chmod(0o711)
    os.chown(root / "open", BOB, BOB)
    assert as_account(lambda: put(area, b"open/file", b"x").created, uid=BOB)


def test_a_collection_that_may_be_written_but_not_read_takes_files(area: Area, root: Path) -> None:
    (root / "drop").mkdir()
    os.chown(root / "drop", ALICE, ALICE)
    (root / "drop").chmod(0o300)
    assert as_account(lambda: put(area, b"drop/file", b"x", durable=True).created)


def test_a_read_only_area_takes_nothing(area_of: Callable[..., Area], root: Path) -> None:
    area = area_of(read_only=True)
    assert problem_of(lambda: put(area, b"file", b"x")) == "read_only"
    assert tree(root) == {}


@pytest.mark.parametrize(
    ("template", "home", "name", "resolved"),
    [
        ("/data/{user}/x", "/home/alice", "alice", "/data/alice/x"),
        ("{home}/data", "/home/{user}", "alice", "/home/{user}/data"),
        ("/scratch", "", "alice", "/scratch"),
        ("{home}/data", "", "alice", None),
        ("{home}/data", "/", "alice", None),
        ("{home}/data", "home/alice", "alice", None),
        ("{home}/data", "/home/../etc", "alice", None),
        ("/data/{user}", "/home/alice", "", None),
        ("/data/{user}", "/home/alice", "..", None),
        ("/data/{user}", "/home/alice", "a/b", None),
        ("/data/{nobody}", "/home/alice", "alice", None),
        ("/data/{group}", "/home/alice", "alice", None),  # a gid without a name
    ],
)
def test_placeholders_are_names_and_never_bring_segments_along(template: str, home: str, name: str, resolved: str | None) -> None:
    account = Account(name, ALICE, ALICE, (ALICE,), home, "/bin/bash")
    if resolved is None:
        assert problem_of(lambda: area_roots.resolve(template, account)) == "area_root_refused"
    else:
        assert area_roots.resolve(template, account) == resolved


def test_areas_are_opened_as_the_account_and_say_why_not(root: Path) -> None:
    def area(name: str, where: str, **settings: object) -> StorageArea:
        return StorageArea(name=name, path=f"/{name}", root=where, **settings)  # type: ignore[arg-type]

    closed = root.parent / "closed"
    closed.mkdir(mode=0o700)
    areas = (
        area("mine", str(root)),
        area("missing", f"{root}/missing"),
        area("made", f"{root}/made/{{user}}", create_root=True, umask="0077"),
        area("closed", f"{closed}/inside"),
        area("others", str(root), account="vo_demo"),
        area("public", str(root), account="vo_demo", anonymous_account="alice"),
    )
    def opened_by_name() -> dict[str, str]:
        found = open_areas(of_account(areas, ACCOUNT), ACCOUNT, None)
        return {name: area.problem if isinstance(area, Refusal) else "open" for name, area in found.items()}

    opened = as_account(opened_by_name)
    assert opened == {
        "mine": "open",
        "missing": "area_root_missing",
        "made": "open",
        "closed": "area_root_refused",
        "public": "open",
    }
    assert (root / "made" / "alice").stat().st_mode & 0o777 == 0o700
