"""PUT with Content-Range: overwrite, append and grow, all at one stroke; refused where somebody could lose something."""

import base64
import hashlib
import os
import random
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teapot.worker import annotations, checksum, threads
from teapot.worker.area import Area
from teapot.worker.content_range import Part
from teapot.worker.journal import is_hidden
from teapot.worker.patch import Patch
from teapot.worker.refusal import Refusal
from teapot.worker.upload import Upload
from tests.worker_files.accounts import ALICE, BOB, as_account
from tests.worker_files.asking import Asker
from tests.worker_files.conftest import NOWHERE, terms, tree

OLD = b"0123456789"


@pytest.fixture
def ask(area: Area) -> Asker:
    return Asker(area)


@pytest.fixture(autouse=True)
def files(root: Path) -> Iterator[None]:
    (root / "f").write_bytes(OLD)
    os.utime(root / "f", (0, 10**9))  # the clock of a file system moves in steps of milliseconds, of some kernels
    yield


@pytest.mark.parametrize(
    ("said", "body", "result"),
    [
        (b"bytes 0-2/10", b"abc", b"abc3456789"),
        (b"bytes 4-5/*", b"xy", b"0123xy6789"),
        (b"bytes 7-9/10", b"xyz", b"0123456xyz"),
        (b"bytes 8-11/12", b"wxyz", b"01234567wxyz"),
        (b"bytes 10-12/13", b"abc", b"0123456789abc"),
        (b"bytes 10-12/*", b"abc", b"0123456789abc"),
        (b"bytes 10-12/1000", b"abc", b"0123456789abc"),
        (b"bytes 0-9/10", b"abcdefghij", b"abcdefghij"),
        (b"bytes 0-11/12", b"abcdefghijkl", b"abcdefghijkl"),
        (b"bytes=0-2/*", b"abc", b"abc3456789"),
    ],
)
def test_a_part_is_put_in_its_place_and_the_rest_stays(ask: Asker, root: Path, said: bytes, body: bytes, result: bytes) -> None:
    before = ask.etag(b"f")
    answer = ask("PUT", b"f", body, content_range=said, want_digest=b"adler32")
    assert answer.status == 200 and answer.etag != before
    assert (root / "f").read_bytes() == result
    assert answer.fields["digest"] == f"adler32={zlib.adler32(result):08x}"
    assert os.getxattr(root / "f", checksum.ADLER32) == b"%08x" % zlib.adler32(result)


def test_a_file_may_begin_with_its_first_part(ask: Asker, root: Path) -> None:
    assert ask("PUT", b"a/new", b"abc", content_range=b"bytes 0-2/6").status == 201
    assert ask("PUT", b"a/new", b"def", content_range=b"bytes 3-5/6").status == 200
    assert (root / "a" / "new").read_bytes() == b"abcdef"


@pytest.mark.parametrize("path", [b"f", b"new"])
def test_a_gap_is_refused_with_the_size_that_there_is(ask: Asker, root: Path, path: bytes) -> None:
    size = len(OLD) if path == b"f" else 0
    answer = ask("PUT", path, b"abc", content_range=b"bytes %d-%d/*" % (size + 1, size + 3))
    assert (answer.status, answer.fields["content-range"]) == ("range_not_satisfiable", f"bytes */{size}")
    assert tree(root) == {"f": OLD}


def test_who_takes_the_file_for_shorter_than_it_is_does_not_know_it(ask: Asker, root: Path) -> None:
    assert ask("PUT", b"f", b"abc", content_range=b"bytes 0-2/5").status == "range_not_satisfiable"
    assert (root / "f").read_bytes() == OLD


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"bytes",
        b"bytes 0-2",
        b"bytes */10",
        b"bytes 2-0/10",
        b"bytes 0-2/2",
        b"bytes 0-2/x",
        b"lines 0-2/10",
        b"bytes -3/10",
        b"0-2/10",
    ]
    + [b"bytes 0-/10", b"bytes 0-2/10 x", b"bytes 0-1/10", b"bytes 0-3/10", b"bytes 0-2,4-5/10", b"bytes 9999999999999999999-2/*"],
)
def test_what_is_no_content_range_or_of_another_length_is_refused_and_never_taken_for_the_whole(
    ask: Asker, root: Path, said: bytes
) -> None:
    """RFC 9110, section 14.4."""
    assert ask("PUT", b"f", b"abc", content_range=said).status == "bad_header"
    assert (root / "f").read_bytes() == OLD


def test_conditions_scopes_and_collections_are_as_with_the_whole(area: Area, ask: Asker, root: Path) -> None:
    (root / "c").mkdir()
    assert ask("PUT", b"f", b"abc", content_range=b"bytes 0-2/*", if_match=b'"other"').status == "precondition_failed"
    assert ask("PUT", b"f", b"abc", content_range=b"bytes 0-2/*", if_none_match=b"*").status == "precondition_failed"
    assert ask("PUT", b"c", b"abc", content_range=b"bytes 0-2/*").status == "is_collection"
    assert Asker(area, rights=4)("PUT", b"f", b"abc", content_range=b"bytes 0-2/*").status == "replace_not_in_scope"
    assert (root / "f").read_bytes() == OLD
    assert ask("PUT", b"f", b"abc", content_range=b"bytes 0-2/*", if_match=ask.etag(b"f")).status == 200


def test_a_digest_is_of_the_whole_that_comes_out(ask: Asker, root: Path) -> None:
    whole = OLD + b"abc"
    md5 = base64.b64encode(hashlib.md5(whole).digest())
    assert (
        ask("PUT", b"f", b"abc", content_range=b"bytes 10-12/13", digest=b"adler32=%08x" % zlib.adler32(b"abc")).status == "digest_mismatch"
    )
    assert (root / "f").read_bytes() == OLD
    assert (
        ask("PUT", b"f", b"abc", content_range=b"bytes 10-12/13", digest=b"adler32=%08x,md5=%b" % (zlib.adler32(whole), md5)).status == 200
    )


def test_mode_and_properties_stay(ask: Asker, root: Path) -> None:
    (root / "f").chmod(0o640)
    os.setxattr(root / "f", "user.mine", b"1")
    assert ask("PUT", b"f", b"abc", content_range=b"bytes 10-12/13").status == 200
    assert (root / "f").stat().st_mode & 0o777 == 0o640 and os.getxattr(root / "f", "user.mine") == b"1"
    assert annotations.ATTRIBUTE not in os.listxattr(root / "f")


def test_what_cannot_be_replaced_at_one_stroke_takes_no_part(area_of: Callable[..., Area], root: Path) -> None:
    """Not even where the area lets whole files be written in place."""
    os.link(root / "f", root / "g")
    for overwrite in ("refuse", "in_place"):
        assert Asker(area_of(overwrite=overwrite))("PUT", b"f", b"abc", content_range=b"bytes 0-2/*").status == "cannot_replace"
    assert (root / "f").read_bytes() == OLD


def test_a_file_that_may_be_written_but_not_read_takes_no_part(area: Area, root: Path) -> None:
    os.chown(root / "f", ALICE, ALICE)
    (root / "f").chmod(0o200)
    assert as_account(lambda: Asker(area)("PUT", b"f", b"abc", content_range=b"bytes 0-2/*").status) == "permission_denied"
    assert as_account(lambda: Asker(area)("PUT", b"f", b"abc").status) == 200, "the whole it does"


def test_nobody_else_may_write_a_part(area: Area, root: Path) -> None:
    os.chown(root / "f", ALICE, ALICE)
    (root / "f").chmod(0o644)
    assert as_account(lambda: Asker(area)("PUT", b"f", b"abc", content_range=b"bytes 0-2/*").status, BOB) == "permission_denied"


def write(file: Path, at: int, data: bytes) -> None:
    with open(file, "r+b") as opened:
        opened.seek(at)
        opened.write(data)


CHANGES: dict[str, Callable[[Path], object]] = {
    "appended to": lambda file: write(file, len(OLD), b"more"),
    "truncated": lambda file: os.truncate(file, 3),
    "written to": lambda file: write(file, 0, b"X"),
    "replaced": lambda file: (file.with_name("other").write_bytes(OLD), os.rename(file.with_name("other"), file)),
    "removed": lambda file: os.unlink(file),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_a_job_changes_meanwhile_is_left_as_the_job_wants_it(area: Area, root: Path, change: str) -> None:
    upload = Upload(area, b"f", terms(), NOWHERE, 3, Patch(Part(10, 3, None)))
    upload.write(memoryview(b"abc"))
    CHANGES[change](root / "f")
    after = {name: content for name, content in tree(root).items() if not is_hidden(name.encode())}  # without O_TMPFILE there is one
    with pytest.raises(Refusal) as refused:
        upload.commit(3, {})
    assert refused.value.problem == "file_changed"
    assert tree(root) == after


def test_a_part_that_is_cut_short_or_too_long_leaves_the_old_file(area: Area, root: Path) -> None:
    for body, length, problem in ((b"ab", 3, "body_too_short"), (b"ab", 2, "body_too_short"), (b"abcd", 4, "bad_header")):
        upload = Upload(area, b"f", terms(), NOWHERE, None, Patch(Part(10, 3, None)))
        with pytest.raises(Refusal) as refused:
            try:
                upload.write(memoryview(body))
                upload.commit(length, {})
            finally:
                upload.abort()
        assert refused.value.problem == problem
    assert tree(root) == {"f": OLD}


def test_of_two_that_append_at_once_one_is_refused_and_the_other_whole(ask: Asker, root: Path) -> None:
    said: list[int | str] = []
    bodies = [bytes([number]) * 5000 for number in range(8)]
    together = threading.Barrier(len(bodies))

    def append(body: bytes) -> None:
        threads.own_umask()  # as in a worker: another thread's must not stay
        together.wait()
        said.append(ask("PUT", b"f", body, content_range=b"bytes 10-5009/5010").status)

    running = [threading.Thread(target=append, args=(body,)) for body in bodies]
    for each in running:
        each.start()
    for each in running:
        each.join()
    assert said.count(200) >= 1 and set(said) <= {200, "file_changed"}
    content = (root / "f").read_bytes()
    assert content[:10] == OLD and content[10:] in bodies


def test_whatever_the_parts_the_file_and_its_checksum_are_right(ask: Asker, root: Path) -> None:
    chance = random.Random(20)
    content = bytearray(OLD)
    for _ in range(150):
        start = chance.randrange(len(content) + 1) if chance.random() < 0.7 else len(content)
        body = chance.randbytes(chance.choice((1, 7, 4096, 70_000)))
        content[start : start + len(body)] = body
        said = b"bytes %d-%d/%d" % (start, start + len(body) - 1, len(content))
        assert ask("PUT", b"f", body, content_range=said, digest=b"adler32=%08x" % zlib.adler32(content)).status == 200
    assert (root / "f").read_bytes() == content


def test_holes_stay_holes(ask: Asker, root: Path) -> None:
    os.truncate(root / "f", 16 << 20)
    assert ask("PUT", b"f", b"end", content_range=b"bytes %d-%d/*" % (16 << 20, (16 << 20) + 2)).status == 200
    status = (root / "f").stat()
    assert status.st_size == (16 << 20) + 3 and status.st_blocks * 512 < 4 << 20


# --- X-OC-Mtime


@pytest.mark.parametrize(
    ("said", "expected"), [(b"1000000000", 10**9), (b"0", 0), (b"1000000000.75", 10**9), (b" 1700000000 ", 1_700_000_000)]
)
def test_a_file_gets_the_time_that_came_with_it(ask: Asker, root: Path, said: bytes, expected: int) -> None:
    for path, status in ((b"new", 201), (b"f", 200)):
        answer = ask("PUT", path, b"x", x_oc_mtime=said)
        assert (answer.status, answer.fields["x-oc-mtime"]) == (status, "accepted")
        assert int((root / path.decode()).stat().st_mtime) == expected


@pytest.mark.parametrize("said", [b"", b"now", b"1e9", b"0x10", b"123456789012", b"1,000", b"NaN"])
def test_a_time_that_is_none_is_refused(ask: Asker, root: Path, said: bytes) -> None:
    assert ask("PUT", b"f", b"x", x_oc_mtime=said).status == "bad_header"
    assert (root / "f").read_bytes() == OLD


def test_a_time_that_the_file_does_not_get_is_not_said_to_be_accepted(area_of: Callable[..., Area], root: Path) -> None:
    os.link(root / "f", root / "g")
    answer = Asker(area_of(overwrite="in_place"))("PUT", b"f", b"x", x_oc_mtime=b"1000000000")
    assert answer.status == 200 and "x-oc-mtime" not in answer.fields
