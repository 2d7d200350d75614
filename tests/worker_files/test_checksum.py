"""A stored checksum is believed only for exactly the content that it was stored for."""

import base64
import contextlib
import hashlib
import os
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from teapot.worker import checksum, computing, hashing
from teapot.worker.area import Area
from teapot.worker.entity import etag
from teapot.worker.refusal import Refusal
from tests.service.teapot_process import wait_for
from tests.worker_files.accounts import BOB, as_account
from tests.worker_files.asking import Asker
from tests.worker_files.conftest import put
from tests.worker_files.test_replace import owned


def adler32(content: bytes) -> bytes:
    return zlib.adler32(content).to_bytes(4, "big")


def digest(path: Path, algorithm: str = "adler32", unguarded: bool = False) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return computing.digest(descriptor, algorithm, unguarded=unguarded)
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
    file = owned(root / "file", "content", mode=0o644, uid=BOB)
    root.chmod(0o755)

    def stopped() -> str:
        descriptor = os.open(file, os.O_RDONLY)
        with pytest.raises(Refusal) as refused:
            computing.digest(descriptor, "md5", stop=lambda: True)
        os.close(descriptor)
        return refused.value.detail

    assert "not wanted" in as_account(stopped)


def test_a_computation_whose_result_is_kept_goes_on_for_who_asks_again(area: Area, root: Path) -> None:
    descriptor = os.open(owned(root / "file", "content"), os.O_RDONLY)
    with contextlib.suppress(Refusal):  # who asked has gone
        computing.digest(descriptor, "adler32", stop=lambda: True)
    wait_for(lambda: checksum.stored(descriptor, os.fstat(descriptor)) == {"adler32": adler32(b"content")}, 5, "it was not kept")
    os.close(descriptor)


@pytest.mark.parametrize("first", [b"", b"a", bytes(100_000), b"\xff" * 70_000])
@pytest.mark.parametrize("second", [b"", b"b", bytes(3_000_000), b"\xff" * 70_000])
def test_that_of_two_contents_is_known_without_reading_them_again(first: bytes, second: bytes) -> None:
    assert hashing.joined(zlib.adler32(first), zlib.adler32(second), len(second)) == zlib.adler32(first + second)
    assert hashing.of_zeros(len(second)) == zlib.adler32(bytes(len(second)))


# --- the other algorithms, and what others have stored

CONTENT = b"The quick brown fox jumps over the lazy dog"
RIGHT = {
    "adler32": bytes.fromhex("5bdc0fda"),
    "crc32c": bytes.fromhex("22620404"),
    "md5": bytes.fromhex("9e107d9d372bb6826bd81d3542a419d6"),
    "sha-256": bytes.fromhex("d7a8fbb307d7809469ca9abcb0082e4f8d5651e46d3cdb762d02d0bf37c9e592"),
}
EVERY = tuple(RIGHT)


def kept(path: Path, unguarded: bool = False) -> dict[str, bytes]:
    return checksum.stored(str(path), path.stat(), unguarded=unguarded)


def test_what_the_area_names_is_computed_on_the_way_in_and_kept(area_of: Callable[..., Area], root: Path) -> None:
    as_account(lambda: put(area_of(checksums=EVERY), b"file", CONTENT))
    assert kept(root / "file") == RIGHT


@pytest.mark.parametrize("algorithm", EVERY)
def test_each_is_computed_when_it_is_asked_for_and_joins_what_is_kept(area: Area, root: Path, algorithm: str) -> None:
    as_account(lambda: put(area, b"file", CONTENT))
    assert as_account(lambda: digest(root / "file", algorithm)) == RIGHT[algorithm]
    assert kept(root / "file") == {name: RIGHT[name] for name in {"adler32", algorithm}}


def test_a_change_makes_all_of_them_void(area_of: Callable[..., Area], root: Path) -> None:
    as_account(lambda: put(area_of(checksums=EVERY), b"file", CONTENT))
    (root / "file").write_bytes(CONTENT[::-1])
    assert kept(root / "file") == {}
    assert as_account(lambda: digest(root / "file", "md5")) == hashlib.md5(CONTENT[::-1]).digest()


def test_a_stale_value_of_storm_does_not_count_with_a_guard_for_something_else(area: Area, root: Path) -> None:
    file = owned(root / "file", "content")
    os.setxattr(file, checksum.ADLER32, b"12345678")
    as_account(lambda: digest(file, "md5"))
    assert kept(file) == {"md5": hashlib.md5(b"content").digest()}


def test_a_value_of_storm_is_believed_where_the_area_says_so(area: Area, root: Path) -> None:
    file = owned(root / "file", "content")
    os.setxattr(file, checksum.ADLER32, b"2345678")
    assert as_account(lambda: digest(file, unguarded=True)) == bytes.fromhex("02345678")


def test_but_not_where_our_own_guard_says_that_the_file_has_changed(area: Area, root: Path) -> None:
    as_account(lambda: put(area, b"file", b"content"))
    (root / "file").write_bytes(b"CONTENT")
    assert as_account(lambda: digest(root / "file", unguarded=True)) == adler32(b"CONTENT")


def xrootd(name: str, value: bytes, modified: int) -> bytes:
    """XrdCksData, as XRootD 5 writes it into user.XrdCks.NAME."""
    return struct.pack("!16sqihcB64s", name.encode(), modified, 5, 0, b"\0", len(value), value)


def test_a_value_of_xrootd_is_believed_for_the_time_of_modification_that_it_names(area: Area, root: Path) -> None:
    file = owned(root / "file", "content")
    os.setxattr(file, "user.XrdCks.adler32", xrootd("adler32", b"\1\2\3\4", int(file.stat().st_mtime)))
    assert as_account(lambda: digest(file)) == b"\1\2\3\4"
    os.setxattr(file, "user.XrdCks.adler32", xrootd("adler32", b"\1\2\3\4", int(file.stat().st_mtime) - 1))
    assert as_account(lambda: digest(file)) == adler32(b"content")


@pytest.mark.parametrize("data", [b"", b"x" * 95, b"x" * 96, b"x" * 1000])
def test_a_value_of_xrootd_of_another_form_is_not_looked_at(area: Area, root: Path, data: bytes) -> None:
    file = owned(root / "file", "content")
    os.setxattr(file, "user.XrdCks.adler32", data)
    assert as_account(lambda: digest(file)) == adler32(b"content")


def test_what_is_put_anew_has_none_of_the_old_values(area: Area, root: Path) -> None:
    as_account(lambda: put(area, b"file", b"content"))
    os.setxattr(root / "file", "user.XrdCks.md5", b"old")
    as_account(lambda: put(area, b"file", CONTENT))
    assert kept(root / "file") == {"adler32": RIGHT["adler32"]} and "user.XrdCks.md5" not in os.listxattr(root / "file")


def test_many_who_ask_at_once_cost_one_reading(area: Area, root: Path) -> None:
    file = owned(root / "file", mode=0o600)
    file.write_bytes(os.urandom(64 << 20))

    said: list[bytes] = []
    asking = [threading.Thread(target=lambda: said.append(digest(file, "sha-256"))) for _ in range(12)]
    before = _read_bytes()
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    read = _read_bytes() - before
    assert set(said) == {hashlib.sha256(file.read_bytes()).digest()} and len(said) == 12 and read < 2 * (64 << 20)


def _read_bytes() -> int:
    return int(dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())["rchar"])


# --- in requests


@pytest.fixture
def ask(area_of: Callable[..., Area], root: Path) -> Any:
    asker = Asker(area_of(checksums=("adler32", "md5")))
    return lambda *said, **fields: as_account(lambda: asker(*said, **fields))


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        ("adler32", "adler32=5bdc0fda"),
        ("ADLER32", "adler32=5bdc0fda"),
        ("CRC32c", "crc32c=22620404"),
        ("md5", f"md5={base64.b64encode(RIGHT['md5']).decode()}"),
        ("sha-256", f"sha-256={base64.b64encode(RIGHT['sha-256']).decode()}"),
        ("sha-512;q=1, adler32;q=0.1, md5;q=0.7", f"md5={base64.b64encode(RIGHT['md5']).decode()}"),
        ("md5, adler32", "adler32=5bdc0fda"),
        ("adler32;q=0, sha-512", None),
    ],
)
def test_the_one_that_is_wanted_most_is_told(ask: Any, wanted: str, answer: str | None) -> None:
    ask("PUT", b"file", CONTENT)
    for method in ("HEAD", "GET"):
        assert ask(method, b"file", want_digest=wanted.encode()).fields.get("digest") == answer


def test_of_rfc_9530_too(ask: Any) -> None:
    ask("PUT", b"file", CONTENT)
    told = ask("HEAD", b"file", want_repr_digest=b"md5=3, sha-256=10, adler=1").fields
    assert told["repr-digest"] == f"sha-256=:{base64.b64encode(RIGHT['sha-256']).decode()}:"
    told = ask("HEAD", b"file", want_repr_digest=b"adler=1").fields
    assert told["repr-digest"] == f"adler=:{base64.b64encode(RIGHT['adler32']).decode()}:"


SENT = {
    "digest": [b"adler32=%b", b"crc32c=%b", b"md5=%b", b"sha-256=%b", b"SHA=%b"],
    "content_md5": [b"%b"],
    "repr_digest": [b"md5=:%b:", b"sha-256=:%b:"],
    "content_digest": [b"sha-256=:%b:"],
    "oc_checksum": [b"MD5:%b", b"SHA1:%b", b"ADLER32:%b", b"SHA256:%b"],
}


@pytest.mark.parametrize(("field", "form"), [(field, form) for field, forms in SENT.items() for form in forms])
def test_a_digest_that_came_along_is_verified_before_the_file_is_there(ask: Any, root: Path, field: str, form: bytes) -> None:
    ask("PUT", b"file", b"old")
    name = form.split(b"=")[0].split(b":")[0].decode().lower() if field != "content_md5" else "md5"
    algorithm = {"sha1": "sha", "sha256": "sha-256"}.get(name, name)
    right = {**RIGHT, "sha": hashlib.sha1(CONTENT).digest()}[algorithm]
    in_hex = field == "oc_checksum" or (field == "digest" and algorithm in ("adler32", "crc32c"))

    def written(value: bytes) -> bytes:
        return form % (value.hex().encode() if in_hex else base64.b64encode(value))

    assert ask("PUT", b"file", CONTENT, **{field: written(bytes(len(right)))}).status == "digest_mismatch"
    assert (root / "file").read_bytes() == b"old"
    assert ask("PUT", b"file", CONTENT, **{field: written(right)}).status == 200


BAD = [("content_md5", b"?")]
BAD += [("content_md5", b"QUJD"), ("oc_checksum", b"MD5:xyz"), ("content_digest", b"md5=abc"), ("digest", b"crc32c=zz")]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_a_digest_that_cannot_be_read_is_an_error(ask: Any, field: str, value: bytes) -> None:
    assert ask("PUT", b"file", CONTENT, **{field: value}).status == "bad_header"


def test_crc32c_is_understood_as_xrootd_5_writes_it(ask: Any) -> None:
    assert ask("PUT", b"file", CONTENT, digest=b"crc32c=ImIEBA==").status == 201
    assert ask("PUT", b"file", CONTENT, digest=b"crc32c=AmIEBA==").status == "digest_mismatch"


def test_a_digest_of_a_part_is_not_overlooked(ask: Any) -> None:
    ask("PUT", b"file", CONTENT)
    assert ask("PUT", b"file", b"abc", content_range=b"bytes 0-2/*", content_md5=b"QUJD").status == "bad_header"


PROPERTIES = b"""<D:propfind xmlns:D="DAV:"><D:prop><S:Checksum xmlns:S="http://storm.italiangrid.org/2014/webdav"/>
<O:checksums xmlns:O="http://owncloud.org/ns"/></D:prop></D:propfind>"""


def test_stored_values_are_properties_and_nothing_is_computed_for_them(ask: Any, root: Path) -> None:
    ask("PUT", b"file", CONTENT)
    owned(root / "unknown", "content")
    told = ask("PROPFIND", b"", PROPERTIES, depth=b"1").body.decode()
    assert '<S:Checksum xmlns:S="http://storm.italiangrid.org/2014/webdav">5bdc0fda</S:Checksum>' in told
    assert "<O:checksum>MD5:9e107d9d372bb6826bd81d3542a419d6 ADLER32:5bdc0fda</O:checksum>" in told
    assert told.count("</O:checksums>") == 1 and kept(root / "unknown") == {}
    assert "5bdc0fda" in ask("PROPFIND", b"file", PROPERTIES, depth=b"0").body.decode()
    assert "checksum" not in ask("PROPFIND", b"file", depth=b"0").body.decode().lower()
