"""Conditional requests on every method (RFC 9110, section 13), as the worker answers them: what does not hold changes nothing."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teapot.worker import annotations, conditions, http_dates
from teapot.worker.area import Area
from teapot.worker.conditions import Verdict
from tests.worker_files.asking import Asker
from tests.worker_files.conftest import tree

LOCKINFO = (
    b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    b"<D:locktype><D:write/></D:locktype><D:owner>o</D:owner></D:lockinfo>"
)
UPDATE = b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><x xmlns="urn:x">1</x></D:prop></D:set></D:propertyupdate>'
LONG_AGO, FAR_AHEAD = b"Sun, 06 Nov 1994 08:49:37 GMT", b"Fri, 06 Nov 2093 08:49:37 GMT"

# Method: what it is asked with, the path, and what it answers when its conditions hold.
METHODS: dict[str, tuple[bytes, dict[str, Any], int]] = {
    "GET": (b"f", {}, 200),
    "HEAD": (b"f", {}, 200),
    "PROPFIND": (b"f", {"depth": b"0"}, 207),
    "PUT": (b"f", {"body": b"new"}, 200),
    "DELETE": (b"f", {}, 204),
    "MOVE": (b"f", {"to": b"g"}, 201),
    "COPY": (b"f", {"to": b"g"}, 201),
    "PROPPATCH": (b"f", {"body": UPDATE}, 207),
    "LOCK": (b"f", {"body": LOCKINFO}, 200),
}
MAKE_SOMETHING: dict[str, tuple[bytes, dict[str, Any], int]] = {
    "PUT": (b"new", {"body": b"x"}, 201),
    "MKCOL": (b"new", {}, 201),
    "LOCK": (b"new", {"body": LOCKINFO}, 201),
}


@pytest.fixture(autouse=True)
def files(root: Path) -> Iterator[None]:
    (root / "f").write_bytes(b"content")
    (root / "c" / "d").mkdir(parents=True)
    yield


@pytest.fixture
def ask(area: Area) -> Asker:
    return Asker(area)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["this version", "any version", "this among others", "no other version", "unchanged", "unchanged since"])
def test_a_condition_that_holds_lets_every_method_through(ask: Asker, method: str, kind: str) -> None:
    path, more, expected = METHODS[method]
    tag = ask.etag(path)
    condition = {
        "this version": {"if_match": tag},
        "any version": {"if_match": b"*"},
        "this among others": {"if_match": b'"a", W/"b" ,' + tag},
        "no other version": {"if_none_match": b'"other"'},
        "unchanged": {"if_": b"([%b])" % tag},
        "unchanged since": {"if_unmodified_since": FAR_AHEAD},
    }[kind]
    assert ask(method, path, **more, **condition).status == expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["another version", "a weak tag", "changed since", "none at all", "not this version", "state"])
def test_a_condition_that_does_not_hold_changes_nothing(ask: Asker, root: Path, method: str, kind: str) -> None:
    path, more, _ = METHODS[method]
    tag, before = ask.etag(path), tree(root)
    condition = {
        "another version": {"if_match": b'"other"'},
        "a weak tag": {"if_match": b"W/" + tag},
        "changed since": {"if_unmodified_since": LONG_AGO},
        "none at all": {"if_none_match": b"*"},
        "not this version": {"if_none_match": b"W/" + tag},
        "state": {"if_": b'(["other"])'},
    }[kind]
    reads_and_is_old = method in ("GET", "HEAD") and "if_none_match" in condition
    assert ask(method, path, **more, **condition).status == (304 if reads_and_is_old else "precondition_failed")
    assert tree(root) == before and annotations.ATTRIBUTE not in os.listxattr(root / "f")


@pytest.mark.parametrize("method", MAKE_SOMETHING)
def test_what_is_made_is_made_only_if_nothing_is_there(ask: Asker, method: str) -> None:
    path, more, made = MAKE_SOMETHING[method]
    assert ask(method, path, **more, if_match=b"*").status == "precondition_failed"
    assert ask(method, path, **more, if_match=b'"a"').status == "precondition_failed"
    assert ask(method, path, **more, if_none_match=b"*").status == made


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [("DELETE", b"c", {}), ("MOVE", b"c", {"to": b"e"}), ("COPY", b"c", {"to": b"e"}), ("PROPPATCH", b"c", {"body": UPDATE})],
)
def test_collections_have_versions_too(ask: Asker, root: Path, method: str, path: bytes, more: dict[str, Any]) -> None:
    before = tree(root)
    assert ask(method, path, **more, if_match=b'"other"').status == "precondition_failed"
    assert ask(method, path, **more, if_none_match=b"*").status == "precondition_failed"
    assert tree(root) == before
    assert ask(method, path, **more, if_match=b"*").status in (201, 204, 207)


def test_a_listing_is_there_but_has_no_version(ask: Asker) -> None:
    assert ask("GET", b"c/", if_match=b"*").status == 200
    assert ask("GET", b"c/", if_match=b'"a"').status == "precondition_failed"
    assert ask("GET", b"c/", if_none_match=b"*").status == 304
    assert ask("GET", b"c/", if_none_match=b'"a"').status == 200
    assert ask("GET", b"c/", if_modified_since=FAR_AHEAD).status == 200, "a member may have changed, and the directory not"


@pytest.mark.parametrize(
    ("method", "path", "more", "expected"),
    [
        ("GET", b"missing", {}, "not_found"),
        ("DELETE", b"missing", {}, "not_found"),
        ("MKCOL", b"c", {}, "already_exists"),
        ("MKCOL", b"missing/c", {}, "parent_missing"),
        ("PUT", b"c", {"body": b"x"}, "is_collection"),
        ("PROPPATCH", b"missing", {"body": UPDATE}, "not_found"),
        ("PROPPATCH", b"missing/too", {"body": UPDATE}, "not_found"),
        ("UNLOCK", b"missing/too", {"lock_token": b"<urn:a>"}, "not_found"),
    ],
)
def test_where_the_request_would_fail_anyway_no_condition_is_looked_at(
    ask: Asker, method: str, path: bytes, more: dict[str, Any], expected: str
) -> None:
    """RFC 9110, section 13.2.1."""
    for condition in ({"if_match": b'"other"'}, {"if_none_match": b"*"}, {"if_unmodified_since": LONG_AGO}):
        assert ask(method, path, **more, **condition).status == expected


def test_neither_a_scope_nor_a_lock_is_outdone_by_a_condition(area: Area, ask: Asker) -> None:
    assert Asker(area, rights=4)("PUT", b"f", b"x", if_match=b'"other"').status == "replace_not_in_scope"
    assert ask("LOCK", b"f", LOCKINFO).status == 200
    assert ask("PUT", b"f", b"x", if_match=b'"other"').status == "locked"
    assert ask("DELETE", b"f", if_match=b'"other"').status == "locked"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [b"", b"a", b'"a" "b"', b'"a"x', b'"a", ,', b'w/"a"'])
def test_a_list_of_tags_that_is_none_is_refused(ask: Asker, root: Path, method: str, value: bytes) -> None:
    path, more, _ = METHODS[method]
    before = tree(root)
    for name in ("if_match", "if_none_match"):
        assert ask(method, path, **more, **{name: value}).status == "bad_header"
    assert tree(root) == before


@pytest.mark.parametrize("method", METHODS)
def test_a_date_that_is_none_is_ignored(ask: Asker, method: str) -> None:
    path, more, expected = METHODS[method]
    assert (
        ask(method, path, **more, if_unmodified_since=b"yesterday", if_modified_since=b"Sun, 06 Nov 1994 08:49:37 CET").status == expected
    )


def test_tags_win_over_dates(ask: Asker) -> None:
    tag = ask.etag(b"f")
    assert ask("GET", b"f", if_match=tag, if_unmodified_since=LONG_AGO).status == 200
    assert ask("GET", b"f", if_none_match=b'"other"', if_modified_since=FAR_AHEAD).status == 200
    assert ask("GET", b"f", if_match=tag, if_none_match=tag).status == 304


def test_if_modified_since_is_for_reading_alone(ask: Asker) -> None:
    assert ask("GET", b"f", if_modified_since=FAR_AHEAD).status == 304
    assert ask("HEAD", b"f", if_modified_since=FAR_AHEAD).status == 304
    assert ask("GET", b"f", if_modified_since=LONG_AGO).status == 200
    assert ask("PUT", b"f", b"new", if_modified_since=FAR_AHEAD).status == 200
    assert ask("DELETE", b"f", if_modified_since=FAR_AHEAD).status == 204


def test_a_304_says_which_version_it_means_and_has_no_body(ask: Asker) -> None:
    whole = ask("GET", b"f")
    said = ask("GET", b"f", if_none_match=whole.etag)
    assert (said.status, said.body, said.etag) == (304, b"", whole.etag)
    assert "content-type" not in said.fields


# --- entity tags and dates


def test_every_change_makes_another_strong_tag(ask: Asker, root: Path) -> None:
    tags = [ask("PUT", b"f", b"same").etag for _ in range(50)]
    with open(root / "f", "r+b") as file:
        file.write(b"SAME")
    tags.append(ask.etag(b"f"))
    assert len(set(tags)) == len(tags)
    assert all(tag.startswith(b'"') and tag.endswith(b'"') for tag in tags)


def test_the_tag_that_put_tells_is_the_one_that_get_and_propfind_tell(ask: Asker) -> None:
    tag = ask("PUT", b"g", b"new").etag
    assert ask("GET", b"g").etag == ask("HEAD", b"g").etag == tag
    assert tag.decode() in ask("PROPFIND", b"g", depth=b"0").body.decode().replace("&quot;", '"')


def test_a_time_that_was_asked_for_does_not_bring_an_old_tag_back(ask: Asker, root: Path) -> None:
    """Inode numbers are used again at once by some file systems."""
    tags = [ask("PUT", b"f", b"%d" % (number % 10), x_oc_mtime=b"1000000000").etag for number in range(60)]
    assert len(set(tags)) == len(tags)
    assert int((root / "f").stat().st_mtime) == 1_000_000_000


def test_last_modified_is_never_later_than_the_answer(ask: Asker, root: Path) -> None:
    os.utime(root / "f", (0, time.time() + 86_400))
    told = http_dates.read(ask("GET", b"f").fields["last-modified"].encode())
    assert told is not None and told <= time.time()


@pytest.mark.parametrize("seconds", [-(10**11), -1, 0, 1 << 31, 10**11])
def test_whatever_time_a_file_claims_it_is_served(ask: Asker, root: Path, seconds: int) -> None:
    os.utime(root / "f", (0, seconds))
    assert http_dates.read(ask("GET", b"f").fields["last-modified"].encode()) is not None
    assert ask("PROPFIND", b"f", depth=b"0").status == 207


@pytest.mark.parametrize("text", [b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"])
def test_all_three_forms_of_a_date_are_read(text: bytes) -> None:
    assert http_dates.read(text) == 784_111_777


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"0",
        b"784111777",
        b"Sun, 06 Nov 1994 08:49:37",
        b"Sun, 6 Nov 1994 08:49:37 GMT",
        b"Sun, 31 Feb 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 25:49:37 GMT",
        b"Sun, 06 Now 1994 08:49:37 GMT",
        b"Sun, 06 Nov 0000 08:49:37 GMT",
        b"1994-11-06T08:49:37Z",
    ],
)
def test_what_is_no_date_is_none(text: bytes) -> None:
    assert http_dates.read(text) is None


def test_two_digits_of_a_year_are_at_most_50_years_ahead() -> None:
    ahead = time.gmtime().tm_year + 50
    for year in (ahead, ahead - 99):
        text = b"Monday, 01-Jan-%02d 00:00:00 GMT" % (year % 100)
        seconds = http_dates.read(text)
        assert seconds is not None and time.gmtime(seconds).tm_year == year


# --- the pure decision, in every combination


@pytest.mark.parametrize("reading", [True, False])
@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("match", [None, b"*", b'"now"', b'"old"'])
@pytest.mark.parametrize("none_match", [None, b"*", b'"now"', b'"old"'])
def test_the_order_is_that_of_the_rfc(reading: bool, exists: bool, match: bytes | None, none_match: bytes | None) -> None:
    fields = {name: value for name, value in (("if-match", match), ("if-none-match", none_match)) if value is not None}
    matches = match is None or exists and match in (b"*", b'"now"')
    news = none_match is None or not (exists and none_match in (b"*", b'"now"'))
    expected = Verdict.FAILED if not matches else Verdict.PROCEED if news else Verdict.NOT_MODIFIED if reading else Verdict.FAILED
    assert conditions.judge(fields, b'"now"' if exists else None, 0.0, reading) is expected
