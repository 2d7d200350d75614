"""Where a file's content is said to be belongs to that content: what is written anew, or copied, is on disk."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from teapot.channel.worker_messages import MAY_LIST
from teapot.configuration import Residency
from teapot.worker.area import Area
from tests.worker_files.accounts import ALICE, as_account
from tests.worker_files.asking import Asker, Said
from tests.worker_files.conftest import put

WHERE, MIGRATED = "user.hsm.locality", "user.storm.migrated"
AreaOf = Callable[..., Area]


@pytest.fixture
def tape(area_of: AreaOf) -> Area:
    return area_of(residency=Residency(attribute=WHERE))


@pytest.fixture
def stubs(area_of: AreaOf) -> Area:
    return area_of(residency=Residency(migrated_attribute=MIGRATED))


def made(area: Area, root: Path, name: str, where: bytes) -> Path:
    as_account(lambda: put(area, name.encode(), b"events"))
    os.setxattr(root / name, WHERE, where)
    return root / name


def asked(area: Area, *request: Any, **fields: Any) -> Said:
    return Said(*as_account(lambda: tuple(Asker(area)(*request, **fields))))


def test_what_replaces_an_offline_file_is_on_disk(tape: Area, root: Path) -> None:
    file = made(tape, root, "file", b"NEARLINE")
    os.setxattr(file, "user.mine", b"kept")
    assert asked(tape, "PUT", b"file", b"new").status == 200
    assert os.listxattr(file) and WHERE not in os.listxattr(file) and os.getxattr(file, "user.mine") == b"kept"
    assert asked(tape, "GET", b"file").body == b"new"


@pytest.mark.parametrize("where", [b"ONLINE", b"ONLINE_AND_NEARLINE"])
def test_a_copy_is_on_disk_alone(tape: Area, root: Path, where: bytes) -> None:
    made(tape, root, "file", where)
    assert asked(tape, "COPY", b"file", to=b"copy").status == 201
    assert WHERE not in os.listxattr(root / "copy")


def test_a_file_that_moves_stays_where_it_is(tape: Area, root: Path) -> None:
    made(tape, root, "file", b"NEARLINE")
    assert asked(tape, "MOVE", b"file", to=b"moved").status == 201
    said = asked(tape, "GET", b"moved")
    assert (said.status, said.fields["locality"]) == ("offline", "NEARLINE")


def test_an_offline_file_can_be_removed_locked_and_described(tape: Area, root: Path) -> None:
    made(tape, root, "file", b"NEARLINE")
    info = b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
    lock = asked(tape, "LOCK", b"file", info)
    assert lock.status == 200
    token = lock.fields["lock-token"].encode()
    assert asked(tape, "UNLOCK", b"file", lock_token=token).status == 204
    assert asked(tape, "DELETE", b"file").status == 204


def test_its_stored_checksum_is_told_without_it(tape: Area, root: Path) -> None:
    made(tape, root, "file", b"NEARLINE")
    said = asked(tape, "HEAD", b"file", want_digest=b"adler32")
    assert (said.status, said.fields["digest"], said.fields["locality"]) == (200, "adler32=08eb0296", "NEARLINE")
    assert "digest" not in asked(tape, "HEAD", b"file", want_digest=b"md5").fields


def test_the_checksum_of_what_is_on_disk_is_computed_as_ever(tape: Area, root: Path) -> None:
    file = made(tape, root, "file", b"ONLINE_AND_NEARLINE")
    os.removexattr(file, "user.storm.checksum.adler32")
    assert asked(tape, "HEAD", b"file", want_digest=b"adler32").fields["digest"] == "adler32=08eb0296"


def test_an_offline_file_is_not_written_in_place(area_of: AreaOf, root: Path) -> None:
    area = area_of(residency=Residency(attribute=WHERE), overwrite="in_place")
    file = made(area, root, "file", b"NEARLINE")
    os.link(file, root / "other name")
    said = asked(area, "PUT", b"file", b"new")
    assert (said.status, said.fields["locality"]) == ("offline", "NEARLINE")
    assert file.read_bytes() == b"events"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_may_not_read_a_file_is_not_told_of_it(tape: Area, root: Path, method: str) -> None:
    made(tape, root, "file", b"NEARLINE").chmod(0)
    assert asked(tape, method, b"file").status == "permission_denied"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_where_only_a_collection_may_be_told_of_nothing_is_told_of_a_file(tape: Area, root: Path, method: str) -> None:
    made(tape, root, "file", b"NEARLINE")
    said = as_account(lambda: tuple(Asker(tape, rights=MAY_LIST)(method, b"file")))
    assert Said(*said).status == "permission_denied"
    assert asked(tape, method, b"file/").status == "not_found"


def test_what_has_blocks_for_all_its_bytes_is_on_disk_whatever_else_it_is(stubs: Area, root: Path) -> None:
    as_account(lambda: put(stubs, b"file", bytes(range(256)) * 64))
    assert asked(stubs, "GET", b"file").fields["locality"] == "ONLINE"
    os.setxattr(root / "file", MIGRATED, b"")
    said = asked(stubs, "GET", b"file")
    assert (said.status, said.fields["locality"]) == (200, "ONLINE_AND_NEARLINE")


def test_a_stub_that_was_migrated_is_on_tape_and_a_sparse_file_is_not(stubs: Area, root: Path) -> None:
    with (root / "file").open("wb") as file:
        file.truncate(1 << 20)
    os.chown(root / "file", ALICE, ALICE)
    assert asked(stubs, "GET", b"file").fields["locality"] == "ONLINE"
    os.setxattr(root / "file", MIGRATED, b"")
    said = asked(stubs, "GET", b"file")
    assert (said.status, said.fields["locality"]) == ("offline", "NEARLINE")


@pytest.mark.parametrize("said", ["online", "NEARLINE ", "tape\n", "Disk", "disk_and_tape\0"])
def test_both_vocabularies_are_understood_in_any_case(tape: Area, root: Path, said: str) -> None:
    made(tape, root, "file", said.encode())
    told = asked(tape, "HEAD", b"file").fields["locality"]
    words = {"online": "ONLINE", "nearline": "NEARLINE", "tape": "NEARLINE", "disk": "ONLINE", "disk_and_tape": "ONLINE_AND_NEARLINE"}
    assert told == words[said.strip("\0 \n").lower()]


@pytest.mark.parametrize("said", ["", "NEAR LINE", "ONLINE,NEARLINE", "\xff", "STAGING", "x" * 4000])
def test_another_word_is_not_taken_for_one(area_of: AreaOf, root: Path, said: str) -> None:
    area = area_of(residency=Residency(attribute=WHERE))
    file = root / "file"
    file.write_bytes(b"events")
    os.chown(file, ALICE, ALICE)
    try:
        os.setxattr(file, WHERE, said.encode("latin-1"))
    except OSError:
        return  # more than this file system can keep
    assert asked(area, "GET", b"file").status == asked(area, "HEAD", b"file").status == "residency_unknown"
