"""Range, If-Range and multi-range of GET (RFC 9110, section 14), and what HEAD says of them."""

import email
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from teapot.worker.area import Area
from teapot.worker.http_dates import http_date
from teapot.worker.ranges import MAX_RANGES
from tests.worker_files.asking import Asker, Said

CONTENT = bytes(range(100))
LONG_AGO = 1_000_000_000


@pytest.fixture(autouse=True)
def files(root: Path) -> Iterator[None]:
    (root / "f.txt").write_bytes(CONTENT)
    (root / "empty").write_bytes(b"")
    yield


@pytest.fixture
def ask(area: Area) -> Asker:
    return Asker(area)


def parts(said: Said) -> list[tuple[str, bytes]]:
    """Of a multipart/byteranges body, as a mail program would take it apart."""
    message = email.message_from_bytes(b"Content-Type: " + said.fields["content-type"].encode() + b"\r\n\r\n" + said.body)
    assert message.is_multipart() and message.get_content_type() == "multipart/byteranges"
    found = [(part["content-range"], part.get_payload(decode=True)) for part in message.get_payload() if not isinstance(part, str)]
    assert all(part.get_content_type() == "text/plain" for part in message.get_payload() if not isinstance(part, str))
    return [(told, content) for told, content in found if isinstance(content, bytes)]


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        (b"bytes=0-0", 0, 0),
        (b"bytes=10-19", 10, 19),
        (b"bytes=90-1000", 90, 99),
        (b"bytes=99-", 99, 99),
        (b"bytes=0-", 0, 99),
        (b"bytes=-10", 90, 99),
        (b"bytes=-1000", 0, 99),
        (b"Bytes = 10-19", 10, 19),
        (b"bytes=10-19,", 10, 19),
        (b"bytes=,10-19", 10, 19),
        (b"bytes=10-14,15-19", 10, 19),
        (b"bytes=10-19,12-13", 10, 19),
        (b"bytes=10-19, 200-300", 10, 19),
    ],
)
def test_one_piece_is_a_206_that_says_where_it_lies(ask: Asker, header: bytes, first: int, last: int) -> None:
    said = ask("GET", b"f.txt", range=header)
    assert (said.status, said.body) == (206, CONTENT[first : last + 1])
    assert said.fields["content-range"] == f"bytes {first}-{last}/100"
    assert said.fields["content-type"].startswith("text/plain") and said.fields["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"bytes=0-4,10-14", [(0, 4), (10, 14)]),
        (b"bytes=50-54, 0-4", [(50, 54), (0, 4)]),
        (b"bytes=0-4,10-14,-3", [(0, 4), (10, 14), (97, 99)]),
        (b"bytes=20-29,0-4,25-34", [(0, 4), (20, 34)]),
        (b"bytes=0-4,400-500,10-14", [(0, 4), (10, 14)]),
    ],
)
def test_several_pieces_come_as_parts_in_the_order_asked_for(ask: Asker, header: bytes, expected: list[tuple[int, int]]) -> None:
    said = ask("GET", b"f.txt", range=header)
    assert said.status == 206 and "content-range" not in said.fields
    assert parts(said) == [(f"bytes {first}-{last}/100", CONTENT[first : last + 1]) for first, last in expected]


def test_pieces_that_overlap_are_sent_once(ask: Asker) -> None:
    header = b"bytes=" + b",".join([b"0-"] * 500)
    said = ask("GET", b"f.txt", range=header)
    assert (said.status, said.body) == (206, CONTENT)


def test_more_pieces_than_anybody_needs_are_answered_with_the_whole(ask: Asker, root: Path) -> None:
    (root / "f.txt").write_bytes(bytes(4 * MAX_RANGES))
    for count, status in ((MAX_RANGES, 206), (MAX_RANGES + 1, 200)):
        header = b"bytes=" + b",".join(b"%d-%d" % (2 * number, 2 * number) for number in range(count))
        assert ask("GET", b"f.txt", range=header).status == status


@pytest.mark.parametrize("header", [b"bytes=100-", b"bytes=100-200", b"bytes=-0", b"bytes=200-300,400-500", b"bytes=9999999999999999999-"])
def test_what_lies_behind_the_end_is_416_with_the_size(ask: Asker, header: bytes) -> None:
    said = ask("GET", b"f.txt", range=header)
    assert (said.status, said.fields["content-range"]) == ("range_not_satisfiable", "bytes */100")


@pytest.mark.parametrize(
    "header",
    [b"", b"bytes", b"bytes=", b"bytes=,", b"bytes=-", b"bytes=a-b", b"bytes=5-2", b"bytes=0-4,5-2", b"bytes=+1-2", b"lines=0-4", b"0-4"]
    + [b"bytes=0-4;10-14", b"bytes=1 -2", b"bytes=0x0-0x4", b"bytes=\xc2\xb2-9", b"bytes=" + b"9" * 20 + b"-"],
)
def test_what_is_no_range_is_ignored(ask: Asker, header: bytes) -> None:
    said = ask("GET", b"f.txt", range=header)
    assert (said.status, said.body) == (200, CONTENT)


@pytest.mark.parametrize(
    ("header", "status"), [(b"bytes=0-", "range_not_satisfiable"), (b"bytes=-5", 200), (b"bytes=-0", "range_not_satisfiable")]
)
def test_an_empty_file_has_its_last_bytes_but_no_first_one(ask: Asker, header: bytes, status: int | str) -> None:
    """RFC 9110, section 14.1.2: a suffix is satisfiable; no 206 can say so."""
    assert ask("GET", b"empty", range=header).status == status


def test_if_range_lets_a_piece_of_this_very_version_through_and_else_sends_the_whole(ask: Asker, root: Path) -> None:
    os.utime(root / "f.txt", (0, LONG_AGO))
    tag, date = ask.etag(b"f.txt"), http_date(LONG_AGO).encode()
    for condition, status in (
        (tag, 206),
        (date, 206),
        (b"W/" + tag, 200),
        (b'"other"', 200),
        (b"*", 200),
        (http_date(LONG_AGO + 1).encode(), 200),
        (http_date(LONG_AGO - 1).encode(), 200),
        (b"nonsense", 200),
    ):
        assert ask("GET", b"f.txt", range=b"bytes=0-4", if_range=condition).status == status, condition


def test_a_date_is_no_proof_within_its_own_second(ask: Asker, root: Path) -> None:
    now = time.time()
    os.utime(root / "f.txt", (now, now + 1))  # the present second cannot pass in between
    date = http_date(int(now + 1)).encode()
    assert ask("GET", b"f.txt", range=b"bytes=0-4", if_range=date).status == 200


def test_if_range_is_asked_before_the_range_is_found_wanting(ask: Asker) -> None:
    assert ask("GET", b"f.txt", range=b"bytes=200-", if_range=b'"other"').status == 200


def test_conditions_come_before_ranges(ask: Asker) -> None:
    tag = ask.etag(b"f.txt")
    assert ask("GET", b"f.txt", range=b"bytes=0-4", if_none_match=tag).status == 304
    assert ask("GET", b"f.txt", range=b"bytes=0-4", if_match=b'"other"').status == "precondition_failed"
    assert ask("GET", b"f.txt", range=b"bytes=0-4", if_match=tag).status == 206


def test_only_get_knows_ranges(ask: Asker) -> None:
    said = ask("HEAD", b"f.txt", range=b"bytes=0-4")
    assert said.status == 200 and "content-range" not in said.fields and said.fields["accept-ranges"] == "bytes"
    assert ask("GET", b"", range=b"bytes=0-4").status == 200, "a listing is sent whole"


@pytest.mark.parametrize("fields", [{}, {"want_digest": b"adler32"}, {"want_repr_digest": b"adler=1"}, {"want_digest": b"md5"}])
@pytest.mark.parametrize("path", [b"f.txt", b"empty", b""])
def test_head_says_what_get_says(ask: Asker, path: bytes, fields: dict[str, bytes]) -> None:
    got, told = ask("GET", path, **fields), ask("HEAD", path, **fields)
    assert (got.status, got.fields) == (told.status, told.fields) and told.body == b""


def test_a_digest_is_of_the_whole_file_whatever_piece_is_sent(ask: Asker) -> None:
    whole = ask("GET", b"f.txt", want_digest=b"adler32").fields["digest"]
    assert ask("GET", b"f.txt", want_digest=b"adler32", range=b"bytes=0-4").fields["digest"] == whole


@pytest.mark.parametrize(
    ("name", "kind"), [("a.txt", "text/plain; charset=utf-8"), ("a.JPG", "image/jpeg"), ("a.html", "application/octet-stream")]
)
def test_the_content_type_is_that_of_the_name_and_never_what_a_browser_would_run(ask: Asker, root: Path, name: str, kind: str) -> None:
    (root / name).write_bytes(b"<script>")
    assert ask("GET", name.encode()).fields["content-type"] == kind
