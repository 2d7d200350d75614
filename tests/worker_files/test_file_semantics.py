"""What people and batch jobs on the same files can rely on: who owns what, who may do what, and names as the file system has them."""

import os
import socket
import stat
import subprocess
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from teapot.worker import annotations
from teapot.worker.area import Area
from teapot.worker.refusal import Refusal
from teapot.worker.upload import Upload
from tests.worker_files.accounts import ALICE, BOB, PROJECT, as_account
from tests.worker_files.asking import Asker, Said
from tests.worker_files.conftest import NOWHERE, terms, tree
from tests.worker_files.file_systems import run
from tests.worker_files.test_conditions import LOCKINFO, UPDATE

# Every way in which something new comes into being, and what: method, path, and more.
MAKERS: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "PUT": ("PUT", b"c/new", {"body": b"x"}),
    "a part by PUT": ("PUT", b"c/new", {"body": b"x", "content_range": b"bytes 0-0/1"}),
    "COPY of a file": ("COPY", b"f", {"to": b"c/new"}),
    "LOCK": ("LOCK", b"c/new", {"body": LOCKINFO}),
    "MKCOL": ("MKCOL", b"c/new", {}),
    "COPY of a collection": ("COPY", b"d", {"to": b"c/new"}),
    "a parent for PUT": ("PUT", b"c/new/f", {"body": b"x"}),
    "a parent for COPY": ("COPY", b"f", {"to": b"c/new/f"}),
    "a parent for MOVE": ("MOVE", b"f", {"to": b"c/new/f"}),
}
# Every way to change what is there; none of them may be done to what is somebody else's.
CHANGERS: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "PUT": ("PUT", b"c/f", {"body": b"mine"}),
    "a part by PUT": ("PUT", b"c/f", {"body": b"mine", "content_range": b"bytes 0-3/*"}),
    "DELETE": ("DELETE", b"c/f", {}),
    "DELETE of a collection": ("DELETE", b"c", {}),
    "MOVE away": ("MOVE", b"c/f", {"to": b"g"}),
    "MOVE over it": ("MOVE", b"f", {"to": b"c/f"}),
    "COPY over it": ("COPY", b"f", {"to": b"c/f"}),
    "PROPPATCH": ("PROPPATCH", b"c/f", {"body": UPDATE}),
    "LOCK": ("LOCK", b"c/f", {"body": LOCKINFO}),
}


def make(path: Path, owner: int, mode: int, content: bytes | None = b"content", group: int | None = None) -> Path:
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    os.chown(path, owner, owner if group is None else group)
    path.chmod(mode)
    return path


@pytest.fixture
def mine(root: Path) -> Path:
    """ALICE's: a file, a collection with a file in it, and a collection to be filled."""
    make(root / "f", ALICE, 0o640)
    make(root / "d", ALICE, 0o750, None)
    make(root / "d" / "f", ALICE, 0o640)
    make(root / "c", ALICE, 0o750, None)
    return root


def ask(area: Area, uid: int, method: str, path: bytes, groups: tuple[int, ...] = (), **more: Any) -> Said:
    """As this account, in a process of its own."""
    return as_account(lambda: Asker(area)(method, path, **more), uid, groups)  # type: ignore[no-any-return]


# --- what is new


@pytest.mark.parametrize("way", MAKERS)
@pytest.mark.parametrize("umask", ["0027", "0022", "0007"])
def test_what_is_new_is_as_open_and_mkdir_would_have_made_it(area_of: Callable[..., Area], mine: Path, way: str, umask: str) -> None:
    method, path, more = MAKERS[way]
    assert ask(area_of(umask=umask), ALICE, method, path, **more).status == 201
    status = (mine / "c" / "new").stat()
    full = 0o777 if stat.S_ISDIR(status.st_mode) else 0o666
    assert (status.st_uid, status.st_gid) == (ALICE, ALICE)
    assert stat.S_IMODE(status.st_mode) == full & ~int(umask, 8)


@pytest.mark.parametrize("way", MAKERS)
def test_a_setgid_directory_gives_its_group(area_of: Callable[..., Area], mine: Path, way: str) -> None:
    os.chown(mine / "c", ALICE, PROJECT)
    (mine / "c").chmod(0o2770)
    method, path, more = MAKERS[way]
    assert ask(area_of(umask="0007"), ALICE, method, path, groups=(PROJECT,), **more).status == 201
    status = (mine / "c" / "new").stat()
    assert status.st_gid == PROJECT
    assert bool(status.st_mode & stat.S_ISGID) is stat.S_ISDIR(status.st_mode), "and passes it on"


@pytest.mark.parametrize("way", MAKERS)
def test_a_default_access_list_takes_the_place_of_the_umask(area: Area, mine: Path, way: str) -> None:
    run("setfacl", "-d", "-m", f"u::rwx,g::rx,o::-,u:{BOB}:rwx", mine / "c")
    method, path, more = MAKERS[way]
    assert ask(area, ALICE, method, path, **more).status == 201
    listed = subprocess.run(["getfacl", "-nc", mine / "c" / "new"], capture_output=True, text=True, check=True).stdout
    assert f"user:{BOB}:rwx" in listed and "other::---" in listed


# --- what is somebody else's


@pytest.fixture
def theirs(root: Path) -> Path:
    """Everybody may enter; c and what is in it are BOB's, readable for all."""
    root.chmod(0o777)
    make(root / "f", ALICE, 0o640)
    make(root / "c", BOB, 0o755, None)
    make(root / "c" / "f", BOB, 0o644)
    return root


@pytest.mark.parametrize("way", CHANGERS)
def test_a_directory_of_another_is_not_written(area: Area, theirs: Path, way: str) -> None:
    method, path, more = CHANGERS[way]
    before = tree(theirs)
    assert ask(area, ALICE, method, path, **more).status in ("permission_denied", "cannot_replace")
    assert tree(theirs) == before and annotations.ATTRIBUTE not in os.listxattr(theirs / "c" / "f")


@pytest.mark.parametrize("way", [way for way in CHANGERS if way != "DELETE of a collection"])
def test_in_a_sticky_directory_everybody_changes_their_own_alone(area: Area, theirs: Path, way: str) -> None:
    (theirs / "c").chmod(0o1777)
    make(theirs / "c" / "own", ALICE, 0o640)
    method, path, more = CHANGERS[way]
    before = tree(theirs)
    assert ask(area, ALICE, method, path, **more).status in ("permission_denied", "cannot_replace")
    assert tree(theirs) == before
    own = {key: b"c/own" if value == b"c/f" else value for key, value in more.items()}
    assert ask(area, ALICE, method, path.replace(b"c/f", b"c/own"), **own).status in (200, 201, 204, 207)


@pytest.mark.parametrize("way", [way for way in CHANGERS if way not in ("PROPPATCH", "LOCK")])
def test_a_directory_that_is_read_only_stays_as_it_is(area: Area, mine: Path, way: str) -> None:
    make(mine / "c" / "f", ALICE, 0o640)
    (mine / "c").chmod(0o550)
    method, path, more = CHANGERS[way]
    before = tree(mine)
    assert ask(area, ALICE, method, path, **more).status in ("permission_denied", "cannot_replace")
    assert tree(mine) == before


def test_what_an_access_list_gives_is_given_and_what_it_takes_is_taken(area: Area, theirs: Path) -> None:
    run("setfacl", "-m", f"u:{ALICE}:rwx", theirs / "c")
    run("setfacl", "-m", f"u:{ALICE}:-", theirs / "c" / "f")
    assert ask(area, ALICE, "GET", b"c/f").status == "permission_denied"
    assert ask(area, ALICE, "PUT", b"c/new", body=b"x").status == 201
    run("setfacl", "-m", f"u:{ALICE}:r", theirs / "c" / "f")
    assert ask(area, ALICE, "GET", b"c/f").body == b"content"
    assert ask(area, ALICE, "PUT", b"c/f", body=b"x").status == "permission_denied"


def test_a_group_opens_what_it_may_open(area: Area, root: Path) -> None:
    make(root / "f", BOB, 0o640, group=PROJECT)
    assert ask(area, ALICE, "GET", b"f").status == "permission_denied"
    assert ask(area, ALICE, "GET", b"f", groups=(PROJECT,)).body == b"content"
    assert ask(area, ALICE, "PUT", b"f", groups=(PROJECT,), body=b"x").status == "permission_denied"


def test_all_names_of_a_file_go_on_meaning_one_file(area_of: Callable[..., Area], mine: Path) -> None:
    """Hard links: never is one of them left with the old content without being told."""
    os.link(mine / "f", mine / "c" / "g")
    for method, path, more in (("PUT", b"f", {"body": b"new"}), ("COPY", b"d/f", {"to": b"f"}), ("MOVE", b"d/f", {"to": b"f"})):
        assert ask(area_of(), ALICE, method, path, **more).status == "cannot_replace"
        assert (mine / "f").read_bytes() == (mine / "c" / "g").read_bytes() == b"content"
    assert ask(area_of(overwrite="in_place"), ALICE, "PUT", b"f", body=b"new").status == 200
    assert (mine / "f").read_bytes() == (mine / "c" / "g").read_bytes() == b"new"
    assert ask(area_of(), ALICE, "MOVE", b"f", to=b"h").status == 201
    assert ask(area_of(), ALICE, "DELETE", b"h").status == 204
    assert (mine / "c" / "g").read_bytes() == b"new"


# --- what is no file


@pytest.fixture(params=["a FIFO", "a character device", "a block device", "a socket"])
def odd(request: pytest.FixtureRequest, mine: Path) -> Iterator[Path]:
    path = mine / "odd"
    if request.param == "a socket":
        with socket.socket(socket.AF_UNIX) as listening:
            os.chdir(mine)
            listening.bind("odd")
            os.chdir("/")
    else:
        kind, number = {"a FIFO": (stat.S_IFIFO, 0), "a character device": (stat.S_IFCHR, 0x103), "a block device": (stat.S_IFBLK, 0x700)}[
            request.param
        ]
        os.mknod(path, kind | 0o666, number)
    os.chown(path, ALICE, ALICE)
    path.chmod(0o666)
    yield path


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("GET", b"odd", {}),
        ("HEAD", b"odd", {}),
        ("PUT", b"odd", {"body": b"x"}),
        ("PUT", b"odd", {"body": b"x", "content_range": b"bytes 0-0/*"}),
        ("COPY", b"odd", {"to": b"new"}),
        ("COPY", b"f", {"to": b"odd"}),
        ("MOVE", b"odd", {"to": b"new"}),
        ("MOVE", b"f", {"to": b"odd"}),
    ],
)
def test_fifos_devices_and_sockets_are_refused_and_block_nobody(
    area: Area, mine: Path, odd: Path, method: str, path: bytes, more: dict[str, Any]
) -> None:
    before = odd.lstat()
    # A device of a file system that is mounted without them says so itself.
    assert ask(area, ALICE, method, path, **more).status in ("not_a_file", "permission_denied")
    after = odd.lstat()
    assert (after.st_ino, after.st_mode, after.st_rdev) == (before.st_ino, before.st_mode, before.st_rdev)
    assert not (mine / "new").exists() and (mine / "f").read_bytes() == b"content"


def test_fifos_devices_and_sockets_are_not_listed_and_can_be_removed(area: Area, odd: Path) -> None:
    assert b"/odd" not in ask(area, ALICE, "PROPFIND", b"", depth=b"1").body
    assert ask(area, ALICE, "DELETE", b"odd").status == 204
    assert not odd.exists()


# --- names

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Ünïcödé").encode() for form in ("NFC", "NFD"))
LONGEST = ("ü" * 127 + "x").encode()


def test_names_that_look_alike_are_different_names(area: Area, mine: Path) -> None:
    assert COMPOSED != DECOMPOSED
    for name in (COMPOSED, DECOMPOSED):
        assert ask(area, ALICE, "PUT", b"c/" + name, body=name).status == 201
    assert ask(area, ALICE, "GET", b"c/" + COMPOSED).body == COMPOSED
    listing = ask(area, ALICE, "PROPFIND", b"c", depth=b"1").body.decode()
    assert all(f"/area/c/{quote(name)}<" in listing for name in (COMPOSED, DECOMPOSED))
    assert ask(area, ALICE, "DELETE", b"c/" + COMPOSED).status == 204
    assert os.listdir(os.fsencode(mine / "c")) == [DECOMPOSED]


def test_a_name_of_255_bytes_goes_through_every_method(area: Area, mine: Path) -> None:
    assert len(LONGEST) == 255
    other = b"y" * 255
    for method, path, more, expected in (
        ("PUT", LONGEST, {"body": b"x"}, 201),
        ("PUT", LONGEST, {"body": b"new"}, 200),
        ("GET", LONGEST, {}, 200),
        ("PROPFIND", LONGEST, {"depth": b"0"}, 207),
        ("LOCK", b"z" * 255, {"body": LOCKINFO}, 201),
        ("PROPPATCH", LONGEST, {"body": UPDATE}, 207),
        ("COPY", LONGEST, {"to": other}, 201),
        ("MOVE", other, {"to": b"c/" + LONGEST}, 201),
        ("MKCOL", other, {}, 201),
        ("MOVE", b"c/" + LONGEST, {"to": other + b"/" + LONGEST}, 201),
        ("DELETE", other, {}, 204),
    ):
        assert ask(area, ALICE, method, path, **more).status == expected, (method, path)
    assert ask(area, ALICE, "PUT", LONGEST + b"x", body=b"x").status == "name_too_long"


def test_a_path_of_4095_bytes_goes_through_every_method(area: Area, mine: Path) -> None:
    above = b"/".join([b"d" * 254] * 16)
    path = above + b"/" + b"f" * (4095 - len(above) - 1)
    assert len(path) == 4095
    for method, more, expected in (
        ("PUT", {"body": b"x"}, 201),
        ("GET", {}, 200),
        ("PROPFIND", {"depth": b"0"}, 207),
        ("PROPPATCH", {"body": UPDATE}, 207),
        ("COPY", {"to": path[:-1] + b"g"}, 201),
        ("DELETE", {}, 204),
        ("MOVE", {"to": b"short"}, "not_found"),
    ):
        assert ask(area, ALICE, method, path, **more).status == expected, method
    assert ask(area, ALICE, "MOVE", path[:-1] + b"g", to=b"short").status == 201
    assert ask(area, ALICE, "PUT", path + b"x", body=b"x").status == "name_too_long"
    assert ask(area, ALICE, "DELETE", b"d" * 254).status == 204
    assert (mine / "short").read_bytes() == b"x"


# --- what moves meanwhile


@pytest.mark.parametrize("method", ["PROPFIND", "GET"])
def test_a_directory_that_is_moved_while_it_is_listed_is_listed_to_its_end(area: Area, mine: Path, method: str) -> None:
    for number in range(2000):
        (mine / "c" / f"member-{number}").touch()
    pieces = Asker(area).pieces(method, b"c", depth=b"1")
    first = next(pieces)
    (mine / "c").rename(mine / "moved")
    (mine / "c").mkdir()
    listing = first + b"".join(pieces)
    assert all(b"member-%d<" % number in listing for number in range(2000))
    assert listing.rstrip().endswith((b"</D:multistatus>", b"</html>"))


def test_members_that_go_while_they_are_listed_are_left_out(area: Area, mine: Path) -> None:
    for number in range(2000):
        (mine / "c" / f"member-{number}").touch()
    pieces = Asker(area).pieces("PROPFIND", b"c", depth=b"1")
    first = next(pieces)
    for path in (mine / "c").iterdir():
        path.unlink()
    listing = first + b"".join(pieces)
    assert listing.rstrip().endswith(b"</D:multistatus>")


def test_a_directory_that_goes_while_a_file_is_put_into_it_takes_nothing(area: Area, mine: Path) -> None:
    upload = Upload(area, b"c/new", terms(), NOWHERE, 1)
    upload.write(memoryview(b"x"))
    (mine / "c").rmdir()
    with pytest.raises(Refusal) as refused:
        upload.commit(1, {})
    assert refused.value.problem == "parent_missing"
    assert set(tree(mine)) == {"f", "d", "d/f"}
