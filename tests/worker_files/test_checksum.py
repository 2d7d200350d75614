"""A stored checksum is believed only for exactly the content that it was stored for."""

import hashlib
import os
import zlib
from pathlib import Path

import pytest

from teapot.worker import checksum
from teapot.worker.area import Area
from teapot.worker.entity import etag
from teapot.worker.refusal import Refusal
from tests.worker_files.accounts import BOB, as_account
from tests.worker_files.conftest import put
from tests.worker_files.test_replace import owned


def adler32(content: bytes) -> bytes:
    return zlib.adler32(content).to_bytes(4, "big")


def digest(path: Path, algorithm: str = "adler32") -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return checksum.digest(descriptor, algorithm)
    finally:
        os.close(descriptor)


def test_it_is_computed_when_it_is_asked_for_and_kept(area: Area, root: Path) -> None:
    file = owned(root / "file", "content")
    assert as_account(lambda: digest(file)) == adler32(b"content")
    assert os.getxattr(file, checksum.ADLER32) == adler32(b"content").hex().encode()
    assert as_account(lambda: digest(file, "md5")) == hashlib.md5(b"content").digest()


@pytest.mark.parametrize("content", [b"", b"a", b"x" * (3 << 20)])
def test_leading_zeros_are_kept_and_any_size_is_right(area: Area, root: Path, content: bytes) -> None:
    as_account(lambda: put(area, b"file", content))
    assert len(os.getxattr(root / "file", checksum.ADLER32)) == 8
    assert as_account(lambda: digest(root / "file")) == adler32(content)


def test_a_change_by_somebody_else_is_noticed(area: Area, root: Path) -> None:
    as_account(lambda: put(area, b"file", b"content"))
    (root / "file").write_bytes(b"CONTENT")
    assert as_account(lambda: digest(root / "file")) == adler32(b"CONTENT")


def test_a_stored_value_without_a_guard_is_not_believed(area: Area, root: Path) -> None:
    file = owned(root / "file", "content")
    os.setxattr(file, checksum.ADLER32, b"12345678")
    assert as_account(lambda: digest(file)) == adler32(b"content")


@pytest.mark.parametrize("value", [b"", b"not hex", b"\xff"])
def test_a_stored_value_that_is_none_is_not_believed(area: Area, root: Path, value: bytes) -> None:
    as_account(lambda: put(area, b"file", b"content"))
    os.setxattr(root / "file", checksum.ADLER32, value)
    assert as_account(lambda: digest(root / "file")) == adler32(b"content")


def test_a_file_that_may_only_be_read_is_computed_each_time(area: Area, root: Path) -> None:
    file = owned(root / "file", "content", mode=0o644, uid=BOB)
    root.chmod(0o755)
    assert as_account(lambda: digest(file)) == adler32(b"content")
    assert checksum.ADLER32 not in os.listxattr(file)


def test_storing_changes_no_entity_tag(area: Area, root: Path) -> None:
    file = owned(root / "file", "content")
    before = etag(file.stat())
    as_account(lambda: digest(file))
    assert checksum.GUARD in os.listxattr(file) and etag(file.stat()) == before
    file.write_bytes(b"CONTENT")
    assert etag(file.stat()) != before


def test_nobody_takes_an_entity_tag_for_an_md5(area: Area, root: Path) -> None:
    tag = etag(owned(root / "file").stat())
    assert tag.startswith(b'"') and tag.endswith(b'"') and max(len(part) for part in tag.strip(b'"').split(b"-")) < 32


def test_a_computation_whose_result_nobody_keeps_can_be_stopped(area: Area, root: Path) -> None:
    descriptor = os.open(owned(root / "file", "content"), os.O_RDONLY)
    with pytest.raises(Refusal):
        checksum.digest(descriptor, "md5", stop=lambda: True)
    os.close(descriptor)


def test_a_computation_whose_result_is_kept_goes_on_for_who_asks_again(area: Area, root: Path) -> None:
    descriptor = os.open(owned(root / "file", "content"), os.O_RDONLY)
    checksum.digest(descriptor, "adler32", stop=lambda: True)
    assert checksum.stored(descriptor, os.fstat(descriptor)) == zlib.adler32(b"content")
    os.close(descriptor)


@pytest.mark.parametrize("first", [b"", b"a", bytes(100_000), b"\xff" * 70_000])
@pytest.mark.parametrize("second", [b"", b"b", bytes(3_000_000), b"\xff" * 70_000])
def test_that_of_two_contents_is_known_without_reading_them_again(first: bytes, second: bytes) -> None:
    assert checksum.joined(zlib.adler32(first), zlib.adler32(second), len(second)) == zlib.adler32(first + second)
    assert checksum.of_zeros(len(second)) == zlib.adler32(bytes(len(second)))
