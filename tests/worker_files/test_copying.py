"""COPY within the areas of one account."""

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from teapot.worker import checksum, namespace
from teapot.worker.area import Area
from teapot.worker.namespace import End, Manner
from tests.worker_files.accounts import ALICE, BOB, as_account
from tests.worker_files.conftest import NOWHERE, put, terms, tree
from tests.worker_files.test_area import problem_of
from tests.worker_files.test_namespace import changed, fill
from tests.worker_files.test_replace import owned

Refused = Callable[[bytes, bytes], str]


def copy(
    area: Area, source: bytes, target: bytes, overwrite: bool = True, deep: bool = True, to: Area | None = None, **under: object
) -> bool:
    ends = End(area, source), End(to or area, target)
    return namespace.copy(*ends, Manner(overwrite, terms(**under)), deep=deep, journal=NOWHERE)  # type: ignore[arg-type]


@pytest.mark.parametrize("stored", [True, False], ids=["checksum known", "checksum unknown"])
@pytest.mark.parametrize("size", [0, 1, 3 << 20])
def test_a_file_is_copied_with_its_attributes_and_checksum(area: Area, root: Path, stored: bool, size: int) -> None:
    content = os.urandom(size)

    def work() -> None:
        put(area, b"file", content)
        os.setxattr(root / "file", "user.dead.property", b"value")
        os.chmod(root / "file", 0o755)
        if not stored:
            os.removexattr(root / "file", checksum.GUARD)
        assert copy(area, b"file", b"a/b/copy", durable=True)
        assert not copy(area, b"file", b"a/b/copy")

    as_account(work)
    copied = root / "a" / "b" / "copy"
    assert copied.read_bytes() == content and copied.stat().st_mode & 0o7777 == 0o750
    assert os.getxattr(copied, "user.dead.property") == b"value"
    assert os.getxattr(copied, checksum.ADLER32) == b"%08x" % zlib.adler32(content)


def test_the_target_keeps_its_mode_and_attributes_that_the_source_does_not_have(area: Area, root: Path) -> None:
    owned(root / "source", "new")
    target = owned(root / "target", mode=0o600)
    os.setxattr(target, "user.other", b"stays")
    as_account(lambda: copy(area, b"source", b"target"))
    assert target.read_text() == "new" and target.stat().st_mode & 0o777 == 0o600
    assert os.getxattr(target, "user.other") == b"stays"


def test_a_collection_is_copied_whole_or_alone(area: Area, root: Path) -> None:
    fill(root, "tree/a/file", "tree/file", "tree/empty/")
    assert as_account(lambda: copy(area, b"tree", b"x/whole", durable=True))
    assert as_account(lambda: copy(area, b"tree", b"alone", deep=False))
    found = tree(root)
    assert {name.removeprefix("x/whole/") for name in found if name.startswith("x/whole/")} == {"a", "a/file", "file", "empty"}
    assert found["x/whole/a/file"] == b"tree/a/file" and "alone" in found and "alone/file" not in found


def test_what_was_at_the_target_of_a_collection_is_gone(area: Area, root: Path) -> None:
    fill(root, "tree/file", "full/old", "plain")
    assert not as_account(lambda: copy(area, b"tree", b"full"))
    assert not as_account(lambda: copy(area, b"tree", b"plain"))
    assert set(tree(root)) == {"tree", "tree/file", "full", "full/file", "plain", "plain/file"}
    fill(root, "one")
    assert not as_account(lambda: copy(area, b"one", b"full"))
    assert tree(root)["full"] == b"one"


def test_onto_itself_into_itself_and_onto_what_holds_it_are_refused(area: Area, root: Path) -> None:
    fill(root, "file", "tree/a/file")
    (root / "alias").symlink_to("tree")
    before = tree(root)
    for source, target in (
        (b"file", b"file"),
        (b"tree", b"tree"),
        (b"tree", b"tree/b"),
        (b"tree", b"tree/new/b"),
        (b"tree", b"alias/a/b"),
        (b"alias", b"tree/b"),
        (b"", b"tree/b"),
        (b"tree/a", b"tree"),
        (b"tree/a/file", b"tree"),
    ):
        assert problem_of(lambda s=source, t=target: as_account(lambda: copy(area, s, t))) == "same_resource", (source, target)
    assert tree(root) == before


def test_into_itself_through_another_area_is_refused(area: Area, area_of: Callable[..., Area], root: Path) -> None:
    fill(root, "tree/a/file")
    inner = area_of(at=root / "tree")
    for source, target in ((b"tree", b"b"), (b"tree", b"a/b"), (b"", b"b")):
        assert problem_of(lambda s=source, t=target: as_account(lambda: copy(area, s, t, to=inner))) == "same_resource"
    assert set(tree(root)) == {"tree", "tree/a", "tree/a/file"}


def test_the_root_can_be_copied_to_another_area_and_not_be_copied_over(area: Area, area_of: Callable[..., Area], root: Path) -> None:
    fill(root, "file")
    (root.parent / "other").mkdir()
    os.chown(root.parent / "other", ALICE, ALICE)
    assert as_account(lambda: copy(area, b"", b"copy", to=area_of(at=root.parent / "other")))
    assert tree(root.parent / "other") == {"copy": None, "copy/file": b"file"}
    assert problem_of(lambda: copy(area, b"file", b"")) == "area_root_fixed"


def test_overwrite_f_conditions_scopes_and_read_only_sources(area: Area, area_of: Callable[..., Area], root: Path) -> None:
    fill(root, "file", "tree/file", "there")
    before = tree(root)
    for source in (b"file", b"tree"):
        assert problem_of(lambda s=source: as_account(lambda: copy(area, s, b"there", False))) == "exists_no_overwrite"
        assert problem_of(lambda s=source: as_account(lambda: copy(area, s, b"there", may_replace=False))) == "replace_not_in_scope"
        assert problem_of(lambda s=source: as_account(lambda: copy(area, s, b"a/b", precondition=changed))) == "precondition_failed"
    assert problem_of(lambda: as_account(lambda: copy(area, b"missing", b"a/b"))) == "not_found"
    assert tree(root) == before
    assert as_account(lambda: copy(area_of(read_only=True), b"file", b"copy", to=area))


def test_without_recursive_deletion_a_full_collection_is_not_copied_over(area_of: Callable[..., Area], root: Path) -> None:
    fill(root, "tree/file", "full/old", "file")
    for source in (b"tree", b"file"):
        assert (
            problem_of(lambda s=source: as_account(lambda: copy(area_of(recursive_delete="never"), s, b"full"))) == "collection_not_empty"
        )
    assert "full/old" in tree(root)


def test_members_are_copied_as_they_are_shown(area: Area, root: Path) -> None:
    """Links inside as what they point to; what leads out, nowhere or in a circle, and what is no file, is left out."""
    owned(root.parent / "secret", "secret")
    fill(root, "tree/file", "beside/file")
    for name, text in {
        "in": "file",
        "side": "../beside",
        "out": "../../secret",
        "nowhere": "x",
        "up": "..",
        "here": ".",
        "loop": "loop",
    }.items():
        (root / "tree" / name).symlink_to(text)
    os.mkfifo(root / "tree" / "fifo")
    os.chown(root / "tree" / "fifo", ALICE, ALICE)
    as_account(lambda: copy(area, b"tree", b"copied"))
    assert not any(path.is_symlink() for path in (root / "copied").rglob("*"))
    members = set(tree(root / "copied"))
    assert {"file", "in", "side", "side/file"} <= members
    assert not any({"out", "nowhere", "fifo", "loop", "here"} & set(member.split("/")) for member in members)
    assert tree(root / "copied")["in"] == b"tree/file"


def test_a_copy_that_fails_half_way_is_removed_again(area: Area, root: Path) -> None:
    fill(root, "tree/a/file", "tree/b/file")
    os.chown(root / "tree" / "b" / "file", BOB, BOB)
    (root / "tree" / "b" / "file").chmod(0o600)
    before = {name for name in os.listdir(root)}
    assert problem_of(lambda: as_account(lambda: copy(area, b"tree", b"x/copy"))) == "permission_denied"
    assert set(os.listdir(root)) == before
    assert problem_of(lambda: as_account(lambda: copy(area, b"tree/b/file", b"y/copy"))) == "permission_denied"
    assert set(os.listdir(root)) == before


def test_a_fifo_is_not_copied_and_blocks_nobody(area: Area, root: Path) -> None:
    os.mkfifo(root / "fifo", 0o666)
    os.chown(root / "fifo", ALICE, ALICE)
    assert problem_of(lambda: as_account(lambda: copy(area, b"fifo", b"copy"))) == "not_a_file"


@pytest.mark.parametrize("known", [False, True], ids=["checksum unknown", "checksum known"])
@pytest.mark.parametrize(
    "data",
    [[], [(0, b"begin")], [(5 << 20, b"middle")], [((8 << 20) - 3, b"end")], [(0, b"a" * 70_000), (1 << 20, b"b"), (6 << 20, b"c" * 5000)]],
    ids=["none", "at the beginning", "in the middle", "at the end", "here and there"],
)
def test_holes_stay_holes(area: Area, root: Path, data: list[tuple[int, bytes]], known: bool) -> None:
    with open(root / "f", "wb") as file:
        file.truncate(8 << 20)
        for at, content in data:
            file.seek(at)
            file.write(content)
        file.flush()
        expected = zlib.adler32((root / "f").read_bytes())
        if known:
            checksum.store(file.fileno(), {"adler32": expected.to_bytes(4, "big")})
    copy(area, b"f", b"g")
    copied = (root / "g").stat()
    assert copied.st_size == 8 << 20 and copied.st_blocks * 512 < 1 << 20
    assert (root / "g").read_bytes() == (root / "f").read_bytes()
    assert os.getxattr(root / "g", checksum.ADLER32) == b"%08x" % expected


def test_a_collection_without_its_members_may_be_copied_into_itself(area: Area, root: Path) -> None:
    fill(root, "c/d/f", "c/g")

    def work() -> None:
        assert copy(area, b"c", b"c/new", deep=False)
        assert not copy(area, b"c", b"c/d", deep=False)

    as_account(work)
    assert tree(root) == {"c": None, "c/new": None, "c/d": None, "c/g": b"c/g"}
