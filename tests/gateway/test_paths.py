"""Paths are split first and decoded once; what could mean two things is refused."""

import pytest

from teapot.gateway.failure import Failure
from teapot.gateway.paths import Hosts, UrlPath, parse

HOSTS = Hosts("https://teapot.example", ("alias.example",))


@pytest.mark.parametrize(
    ("raw", "segments"),
    [
        ("/a/b", (b"a", b"b")),
        ("//a///b", (b"a", b"b")),
        ("/100%25", (b"100%",)),
        ("/%2541", (b"%41",)),
        ("/a#b", (b"a#b",)),
        ("/a%23b", (b"a#b",)),
        ("/a;b", (b"a;b",)),
        ("/a%3Fb?query", (b"a?b",)),
        ("/a%20b+c", (b"a b+c",)),
        ("/%ff%fe", (b"\xff\xfe",)),
        ("/...", (b"...",)),
    ],
)
def test_a_path_is_split_and_then_decoded_once(raw: str, segments: tuple[bytes, ...]) -> None:
    assert parse(raw) == UrlPath(segments, False)


@pytest.mark.parametrize("raw", ["", "a", "*", "/a/..", "/../a", "/.", "/%2e%2E/a", "/a%2Fb", "/a%00b", "/%", "/%4", "/%zz"])
def test_a_path_that_could_mean_two_things_is_refused(raw: str) -> None:
    with pytest.raises(Failure, match="bad_path"):
        parse(raw)


@pytest.mark.parametrize(
    "value",
    [
        "/a%3Fb",
        "https://teapot.example/a%3Fb",
        "https://TEAPOT.example:443/a%3Fb",
        "davs://teapot.example/a%3Fb",
        "https://alias.example/a%3Fb",
    ],
)
def test_a_destination_is_ours_in_each_of_its_forms(value: str) -> None:
    assert HOSTS.destination(value) == UrlPath((b"a?b",), False)


@pytest.mark.parametrize("value", ["https://other.example/a", "https://teapot.example:444/a", "https://teapot.example@evil.example/a"])
def test_a_destination_elsewhere_is_foreign(value: str) -> None:
    with pytest.raises(Failure, match="foreign_destination"):
        HOSTS.destination(value)


@pytest.mark.parametrize("value", ["", "a", "//teapot.example/a", "/a?b", "/a#b", "/a/../b", "/a%2Fb", "ftp://teapot.example/a"])
def test_a_malformed_destination_is_refused(value: str) -> None:
    with pytest.raises(Failure, match="bad_destination"):
        HOSTS.destination(value)
