"""HTTP on real files: resumed uploads, times, URLs with a slash, and files that change while they are sent."""

import http.client
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.service.accounts import Account
from tests.service.clients import Answer
from tests.service.site import Site
from tests.service.teapot_process import Teapot
from tests.worker_files.conftest import tree

MIB = 1 << 20
SIZE = 64 * MIB  # far more than what the sockets on the way hold
LOCKINFO = b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'


@pytest.fixture
def place(site: Site, alice: Account) -> Iterator[Path]:
    """/home/h"""
    place = site.home_of(alice) / "h"
    alice.run("mkdir", str(place))
    yield place
    alice.run("rm", "-rf", str(place))


def make(place: Path, name: str, content: bytes, owner: Account) -> Path:
    path = place / name
    path.write_bytes(content)
    os.chown(path, owner.uid, owner.gid)
    return path


# --- uploads in parts


def test_an_upload_that_was_cut_off_is_resumed_by_curl(teapot: Teapot, place: Path, alice: Account, as_alice: str, tmp_path: Path) -> None:
    whole = os.urandom(3 * MIB)
    (tmp_path / "whole").write_bytes(whole)
    make(place, "f", whole[:MIB], alice)
    answer = teapot.curl("/home/h/f", "-C", str(MIB), "-T", tmp_path / "whole", token=as_alice)
    assert (answer.exit_status, answer.status) == (0, 200)
    assert (place / "f").read_bytes() == whole


def test_parts_of_unknown_length_are_held_against_what_content_range_says(
    teapot: Teapot, place: Path, alice: Account, as_alice: str
) -> None:
    make(place, "f", b"begin", alice)
    fields = {"Content-Range": "bytes 5-100004/100005", "Transfer-Encoding": "chunked"}
    for length, status in ((99_999, 400), (100_001, 400), (100_000, 200)):
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (length, bytes(length))
        assert teapot.request("PUT", "/home/h/f", as_alice, body, headers=fields).status == status
    assert (place / "f").read_bytes() == b"begin" + bytes(100_000)


def test_a_gap_is_416_and_says_how_long_the_file_is(teapot: Teapot, place: Path, alice: Account, as_alice: str) -> None:
    make(place, "f", b"begin", alice)
    answer = teapot.request("PUT", "/home/h/f", as_alice, b"x", headers={"Content-Range": "bytes 9-9/10"})
    assert (answer.status, answer.headers["content-range"]) == (416, "bytes */5")


def test_a_large_part_that_is_refused_is_refused_before_it_is_sent(teapot: Teapot, place: Path, as_alice: str) -> None:
    fields = {"Content-Range": f"bytes 5-{MIB + 4}/*", "Content-Length": str(MIB), "Expect": "100-continue"}
    assert teapot.request("PUT", "/home/h/f", as_alice, headers=fields).status == 416


def test_a_file_keeps_the_time_that_came_with_it(teapot: Teapot, place: Path, as_alice: str) -> None:
    answer = teapot.request("PUT", "/home/h/f", as_alice, bytes(100_000), headers={"X-OC-Mtime": "1000000000"})
    assert (answer.status, answer.headers["x-oc-mtime"]) == (201, "accepted")
    assert int((place / "f").stat().st_mtime) == 1_000_000_000
    assert teapot.request("HEAD", "/home/h/f", as_alice).headers["last-modified"] == "Sun, 09 Sep 2001 01:46:40 GMT"


# --- HEAD and GET


@pytest.mark.parametrize("target", ["f", "empty", "c/", "c", "missing", "f/", "/", "/home", "/elsewhere/f"])
@pytest.mark.parametrize("fields", [{}, {"Want-Digest": "adler32"}, {"If-None-Match": "*"}, {"If-Match": '"other"'}])
def test_head_is_get_without_its_body(
    teapot: Teapot, place: Path, alice: Account, as_alice: str, target: str, fields: dict[str, str]
) -> None:
    make(place, "f", os.urandom(100_000), alice)
    make(place, "empty", b"", alice)
    alice.run("mkdir", str(place / "c"))
    url = target if target.startswith("/") else f"/home/h/{target}"
    got, told = (teapot.request(method, url, as_alice, headers=fields) for method in ("GET", "HEAD"))
    assert got.status == told.status and told.body == b""
    assert comparable(told) == {name: value for name, value in comparable(got).items() if name != "content-length" or name in told.headers}


def comparable(answer: Answer) -> dict[str, str]:
    """But for what names this very answer, and how a body of unknown length would have been sent."""
    return {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id", "transfer-encoding")}


# --- URLs that end in a slash


@pytest.mark.parametrize(
    ("method", "fields", "body"),
    [
        ("GET", {}, None),
        ("HEAD", {}, None),
        ("PROPFIND", {"Depth": "0"}, None),
        ("DELETE", {}, None),
        ("MOVE", {"Destination": "/home/h/g"}, None),
        ("COPY", {"Destination": "/home/h/g"}, None),
        ("PROPPATCH", {}, b'<propertyupdate xmlns="DAV:"><set><prop><x xmlns="urn:x"/></prop></set></propertyupdate>'),
        ("LOCK", {}, LOCKINFO),
    ],
)
def test_a_url_with_a_slash_never_names_a_file(
    teapot: Teapot, place: Path, alice: Account, as_alice: str, method: str, fields: dict[str, str], body: bytes | None
) -> None:
    make(place, "f", b"content", alice)
    assert teapot.request(method, "/home/h/f/", as_alice, body, headers=fields).status == 404
    assert tree(place) == {"f": b"content"}


def test_a_collection_answers_with_and_without_a_slash_and_never_redirects(teapot: Teapot, place: Path, as_alice: str) -> None:
    assert teapot.request("MKCOL", "/home/h/a", as_alice).status == 201
    assert teapot.request("MKCOL", "/home/h/b/", as_alice).status == 201
    for url in ("/home/h/a", "/home/h/a/"):
        assert teapot.request("GET", url, as_alice).status == teapot.request("HEAD", url, as_alice).status == 200
        assert b"<D:href>/home/h/a/</D:href>" in teapot.request("PROPFIND", url, as_alice, headers={"Depth": "0"}).body
    assert teapot.request("MOVE", "/home/h/a", as_alice, headers={"Destination": "/home/h/c/"}).status == 201
    assert teapot.request("COPY", "/home/h/b/", as_alice, headers={"Destination": "/home/h/d"}).status == 201
    assert teapot.request("DELETE", "/home/h/b", as_alice).status == 204
    assert tree(place) == {"c": None, "d": None}


def test_a_file_is_not_given_the_url_of_a_collection(teapot: Teapot, place: Path, alice: Account, as_alice: str) -> None:
    make(place, "f", b"content", alice)
    make(place, "g", b"other", alice)
    for target in ("/home/h/new/", "/home/h/g/"):
        assert teapot.request("PUT", target, as_alice, b"x").status == 405
        for method in ("MOVE", "COPY"):
            assert teapot.request(method, "/home/h/f", as_alice, headers={"Destination": target}).status == 409
    assert tree(place) == {"f": b"content", "g": b"other"}


def test_a_collection_may_be_replaced_by_a_file_under_its_own_url(teapot: Teapot, place: Path, alice: Account, as_alice: str) -> None:
    """RFC 4918, section 9.9.3; nothing is moved "into" a collection by its URL alone."""
    make(place, "f", b"content", alice)
    alice.run("mkdir", str(place / "c"))
    assert teapot.request("MOVE", "/home/h/f", as_alice, headers={"Destination": "/home/h/c/", "Overwrite": "F"}).status == 412
    assert teapot.request("MOVE", "/home/h/f", as_alice, headers={"Destination": "/home/h/c/"}).status == 204
    assert tree(place) == {"c": b"content"}


# --- files that change while they are sent

CHANGES: dict[str, tuple[Callable[[Path], object], bool]] = {
    "truncated": (lambda file: os.truncate(file, 40 * MIB), False),
    "emptied and written again": (lambda file: file.write_bytes(bytes(SIZE - 1)), False),
    "written to": (lambda file: _write(file, 10, b"other"), False),
    "appended to": (lambda file: _write(file, SIZE, b"more"), True),
    "replaced": (lambda file: (file.with_name("other").write_bytes(bytes(SIZE)), os.rename(file.with_name("other"), file)), True),
    "removed": (lambda file: os.unlink(file), True),
    "given an attribute": (lambda file: os.setxattr(file, "user.mine", b"1"), True),
}


def _write(file: Path, at: int, data: bytes) -> None:
    with open(file, "r+b") as opened:
        opened.seek(at)
        opened.write(data)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_a_file_that_changes_under_a_download_is_cut_off_or_whole(
    teapot: Teapot, place: Path, alice: Account, as_alice: str, change: str, version: str
) -> None:
    act, whole = CHANGES[change]
    content = os.urandom(MIB) * (SIZE // MIB)
    file = make(place, "f", content, alice)
    with teapot.connect() as connection:
        connection.sendall(f"GET /home/h/f {version}\r\nHost: x\r\nAuthorization: Bearer {as_alice}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        begin = answer.read(MIB)
        act(file)
        try:
            got = begin + answer.read()
        except (http.client.IncompleteRead, ConnectionError, OSError):
            got = b""
    assert (got == content) is whole
    assert got in (content, b""), "never a short body, or another, that looks whole"


def test_several_ranges_of_a_file_that_changes_are_cut_off(teapot: Teapot, place: Path, alice: Account, as_alice: str) -> None:
    file = make(place, "f", bytes(SIZE), alice)
    ranges = f"bytes=0-{SIZE // 2},{SIZE // 2 + 10}-"
    with teapot.connect() as connection:
        connection.sendall(f"GET /home/h/f HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {as_alice}\r\nRange: {ranges}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 206
        answer.read(MIB)
        os.truncate(file, 1)
        with pytest.raises((http.client.IncompleteRead, OSError)):
            answer.read()


def test_an_upload_wins_over_what_a_job_does_to_the_old_file_meanwhile(teapot: Teapot, place: Path, alice: Account, as_alice: str) -> None:
    file = make(place, "f", b"old", alice)
    with teapot.connect() as connection:
        head = f"PUT /home/h/f HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {as_alice}\r\nContent-Length: {4 * MIB}\r\n\r\n"
        connection.sendall(head.encode() + bytes(2 * MIB))
        assert file.read_bytes() == b"old", "nobody sees half of it"
        _write(file, 3, b" and more")
        file.unlink()
        connection.sendall(bytes(2 * MIB))
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 201
    assert file.read_bytes() == bytes(4 * MIB)


def test_an_upload_into_a_collection_that_goes_meanwhile_is_a_409(teapot: Teapot, place: Path, alice: Account, as_alice: str) -> None:
    alice.run("mkdir", str(place / "c"))
    with teapot.connect() as connection:
        head = f"PUT /home/h/c/f HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {as_alice}\r\nContent-Length: {MIB}\r\n\r\n"
        connection.sendall(head.encode() + bytes(MIB // 2))
        teapot.request("HEAD", "/home/h/c/", as_alice)  # the upload has begun
        (place / "c").rmdir()
        connection.sendall(bytes(MIB // 2))
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 409
    assert tree(place) == {}
