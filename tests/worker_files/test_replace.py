"""What belongs to a name stays with the name when its content is replaced, and what others rely on is never taken from them."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from teapot.worker import checksum
from teapot.worker.area import Area
from teapot.worker.upload import Upload
from tests.worker_files.accounts import ALICE, BOB, PROJECT, STRANGERS, as_account, without_tmpfile
from tests.worker_files.conftest import NOWHERE, put, terms, tree
from tests.worker_files.test_area import problem_of
from tests.worker_files.test_upload import access


def unread(file: Path) -> tuple[int, ...]:
    """Everything that a change would show in; not the time of the last access, which a look changes."""
    status = file.stat()
    return status.st_ino, status.st_mode, status.st_size, status.st_nlink, status.st_mtime_ns, status.st_ctime_ns


def owned(path: Path, content: str = "old", mode: int = 0o640, uid: int = ALICE, gid: int = ALICE) -> Path:
    path.write_text(content)
    os.chown(path, uid, gid)
    path.chmod(mode)
    return path


def test_what_will_replace_a_private_file_is_read_by_nobody_else_while_it_comes(area: Area, root: Path) -> None:
    owned(root / "secret", mode=0o600)

    def modes() -> dict[str, int]:
        without_tmpfile()
        upload = Upload(area, b"secret", terms(), NOWHERE, 100)
        upload.write(memoryview(b"half of a secret"))
        try:
            return {path.name: path.stat().st_mode & 0o777 for path in root.iterdir()}
        finally:
            upload.abort()

    found = as_account(modes)
    assert len(found) == 2 and set(found.values()) == {0o600}


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o755, 0o666])
def test_the_mode_stays(area: Area, root: Path, mode: int) -> None:
    file = owned(root / "file", mode=mode)
    inode = file.stat().st_ino
    as_account(lambda: put(area, b"file", b"new"))
    assert file.read_text() == "new" and file.stat().st_mode & 0o7777 == mode
    assert file.stat().st_ino != inode


def test_setuid_goes_as_when_a_file_is_written_to(area: Area, root: Path) -> None:
    file = owned(root / "file", mode=0o6755)
    as_account(lambda: put(area, b"file", b"new"))
    assert file.stat().st_mode & 0o7777 == 0o755


def test_group_access_list_and_attributes_stay(area: Area, root: Path) -> None:
    file = owned(root / "file", gid=PROJECT)
    subprocess.run(["setfacl", "-m", "u:61002:rw,g:61011:r", file], check=True)
    os.setxattr(file, "user.dead.property", b"value")
    os.setxattr(file, checksum.ADLER32, b"00000000")
    before = access(file)
    as_account(lambda: put(area, b"file", b"new"), groups=[PROJECT])
    assert access(file) == before
    assert os.getxattr(file, "user.dead.property") == b"value"
    assert os.getxattr(file, checksum.ADLER32) != b"00000000"


def test_a_file_without_access_list_gets_none_from_its_directory(area: Area, root: Path) -> None:
    file = owned(root / "file", mode=0o600)
    subprocess.run(["setfacl", "-d", "-m", "u:61002:rwx", root], check=True)
    before = access(file)
    as_account(lambda: put(area, b"file", b"new"))
    assert access(file) == before


def test_a_group_that_the_account_has_left_is_not_exchanged_for_another(area: Area, root: Path) -> None:
    """Otherwise mode 0660 would let in everybody of the account's own group."""
    file = owned(root / "file", gid=STRANGERS, mode=0o660)
    assert problem_of(lambda: as_account(lambda: put(area, b"file", b"new"))) == "cannot_replace"
    assert file.read_text() == "old" and file.stat().st_gid == STRANGERS


def test_in_a_setgid_directory_its_group_stays(area: Area, root: Path) -> None:
    os.chown(root, ALICE, STRANGERS)
    root.chmod(0o2750)
    file = owned(root / "file", gid=STRANGERS)
    as_account(lambda: put(area, b"file", b"new"))
    assert file.read_text() == "new" and file.stat().st_gid == STRANGERS


def test_a_file_that_is_read_only_is_not_replaced(area: Area, root: Path) -> None:
    file = owned(root / "file", mode=0o440)
    assert problem_of(lambda: as_account(lambda: put(area, b"file", b"new"))) == "permission_denied"
    assert file.read_text() == "old"


def hard_linked(root: Path) -> Path:
    file = owned(root / "file")
    os.link(file, root / "other name")
    return file


def of_another_owner(root: Path) -> Path:
    return owned(root / "file", uid=BOB, mode=0o666)


def in_a_sticky_directory(root: Path) -> Path:
    os.chown(root, BOB, BOB)
    root.chmod(0o1777)
    return owned(root / "file", uid=BOB, mode=0o666)


def in_a_directory_that_is_not_writable(root: Path) -> Path:
    (root / "closed").mkdir()
    file = owned(root / "closed" / "file")
    (root / "closed").chmod(0o555)
    return file


HINDRANCES = [hard_linked, of_another_owner, in_a_sticky_directory, in_a_directory_that_is_not_writable]


@pytest.mark.parametrize("hinder", HINDRANCES)
def test_what_others_rely_on_is_refused(area: Area, root: Path, hinder: Callable[[Path], Path]) -> None:
    file = hinder(root)
    before = unread(file)
    path = os.fsencode(file.relative_to(root))
    assert problem_of(lambda: as_account(lambda: put(area, path, b"new"))) == "cannot_replace"
    assert file.read_text() == "old" and unread(file) == before


@pytest.mark.parametrize("prepare", [lambda: None, without_tmpfile], ids=["tmpfile", "hidden name"])
@pytest.mark.parametrize("content", [b"", b"x", b"much longer than before" * 1000])
@pytest.mark.parametrize("hinder", HINDRANCES)
def test_or_is_written_in_place_where_the_area_says_so(
    area_of: Callable[..., Area], root: Path, hinder: Callable[[Path], Path], content: bytes, prepare: Callable[[], None]
) -> None:
    file = hinder(root)
    before, names = file.stat(), set(tree(root))
    path = os.fsencode(file.relative_to(root))
    stored = as_account(lambda: (prepare(), put(area_of(overwrite="in_place"), path, content, durable=True))[1])
    assert file.read_bytes() == content and set(tree(root)) == names
    assert (file.stat().st_ino, file.stat().st_uid, file.stat().st_nlink) == (before.st_ino, before.st_uid, before.st_nlink)
    assert (stored.status.st_ino, stored.status.st_mtime_ns, stored.created) == (before.st_ino, file.stat().st_mtime_ns, False)


def test_a_file_in_a_sticky_directory_that_is_the_accounts_own_is_replaced(area: Area, root: Path) -> None:
    os.chown(root, BOB, BOB)
    root.chmod(0o1777)
    file = owned(root / "file")
    as_account(lambda: put(area, b"file", b"new"))
    assert file.read_text() == "new"


def test_an_attribute_that_does_not_fit_refuses_rather_than_gets_lost(area: Area, root: Path) -> None:
    """Here: an attribute of a file that may be written, but not read."""
    file = owned(root / "file", mode=0o200)
    os.setxattr(file, "user.dead.property", b"value")
    assert problem_of(lambda: as_account(lambda: put(area, b"file", b"new"))) == "cannot_replace"
    assert os.getxattr(file, "user.dead.property") == b"value"
