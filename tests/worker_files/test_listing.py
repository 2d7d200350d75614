"""The page that lists a collection: order, links that lead where they say, names that stay text, and no bound on how many there are."""

import contextlib
import os
import re
import resource
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from teapot.worker import listing
from teapot.worker.area import Area
from teapot.worker.refusal import Refusal
from tests.worker_files.asking import Asker

HOSTILE = [
    b"<script>alert(1)<script>",
    b'"quotes" & ampersands',
    b"a?b#c%41;d",
    b"javascript:alert(1)",
    b"line\nbreak",
    b"not utf-8 \xff\xfe",
    "\N{RIGHT-TO-LEFT OVERRIDE}fdp.exe".encode(),
    b"&lt;",
    b" space ",
    b"...",
]


class Page(HTMLParser):
    """What a browser makes of it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.text = ""
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(content.decode("utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.links += [value or "" for name, value in attributes if tag == "a" and name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def members(self) -> list[str]:
        return [link for link in self.links if not link.startswith(("?", "/"))]


def page(area: Area, path: bytes = b"", **how: object) -> bytes:
    directory = area.open(path, os.O_RDONLY | os.O_DIRECTORY)
    return b"".join(listing.page(area, path, directory, **how))  # type: ignore[arg-type]


@pytest.fixture
def members(root: Path) -> Iterator[Path]:
    for name, size, time in (("b.dat", 10, 300), ("A.dat", 3000, 100), ("c.dat", 200, 200)):
        (root / name).write_bytes(bytes(size))
        os.utime(root / name, (time, time))
    for name, time in (("zz", 50), ("yy", 60)):
        (root / name).mkdir()
        os.utime(root / name, (time, time))
    yield root


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("", "./yy/ ./zz/ ./A.dat ./b.dat ./c.dat"),
        ("name", "./yy/ ./zz/ ./A.dat ./b.dat ./c.dat"),
        ("-name", "./zz/ ./yy/ ./c.dat ./b.dat ./A.dat"),
        ("size", "./yy/ ./zz/ ./b.dat ./c.dat ./A.dat"),
        ("-size", "./zz/ ./yy/ ./A.dat ./c.dat ./b.dat"),
        ("changed", "./zz/ ./yy/ ./A.dat ./c.dat ./b.dat"),
        ("-changed", "./yy/ ./zz/ ./b.dat ./c.dat ./A.dat"),
        ("nonsense", "./yy/ ./zz/ ./A.dat ./b.dat ./c.dat"),
    ],
)
def test_members_come_in_the_order_asked_for_collections_first(area: Area, members: Path, order: str, names: str) -> None:
    assert Page(page(area, order=order)).members == names.split()


@pytest.mark.parametrize(("order", "said"), [("", "ascending"), ("size", "ascending"), ("-size", "descending")])
def test_the_order_is_told_and_a_second_click_turns_it_round(area: Area, members: Path, order: str, said: str) -> None:
    content = page(area, order=order).decode()
    assert content.count("aria-sort") == 1 and f'aria-sort="{said}"' in content
    column = order.lstrip("-") or "name"
    turned = column if order.startswith("-") else f"-{column}"
    assert f'aria-sort="{said}"><a href="?sort={turned}">' in content


def test_sizes_and_dates_are_for_people_and_exact_for_programs(area: Area, members: Path) -> None:
    content = page(area).decode()
    assert '<data value="3000" title="3,000 bytes">3.0 kB</data>' in content
    assert '<time datetime="1970-01-01T00:01:40Z">1970-01-01 00:01</time>' in content
    assert "2 folders, 3 files, 3.2 kB" in content


@pytest.mark.parametrize(
    ("size", "told"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_949, "99.9 kB"), (99_950, "100 kB"), (999_499, "999 kB"), (999_500, "1.0 MB")]
    + [(5_497_558_138_880, "5.5 TB"), ((1 << 63) - 1, "9.2 EB")],
)
def test_a_size_is_told_in_three_figures(size: int, told: str) -> None:
    assert listing.readable(size) == told


@pytest.mark.parametrize("slash", [True, False], ids=["/area/d/", "/area/d"])
def test_every_link_leads_to_its_member_however_the_address_ends(area: Area, root: Path, slash: bool) -> None:
    (root / "d").mkdir()
    for name in HOSTILE:
        with open(os.path.join(os.fsencode(root / "d"), name), "wb"):
            pass
    links = Page(page(area, b"d", slash=slash)).members
    assert not [link for link in links if set(link) & set("?#") or ":" in link.partition("/")[0]], "RFC 3986, section 4.2"
    above = "/area/d/" if slash else "/area/"
    assert {unquote_to_bytes(above + link.removeprefix("./")) for link in links} == {b"/area/d/" + name for name in HOSTILE}


def test_names_are_text_whatever_they_hold(area: Area, root: Path) -> None:
    for name in HOSTILE:
        with open(os.path.join(os.fsencode(root), name), "wb"):
            pass
    read = Page(page(area))
    assert not read.tags & {"script", "style", "img", "iframe", "form", "object"}
    assert not {name for name in read.attributes if name.startswith("on") or name == "style"}
    assert "<script>alert(1)<script>" in read.text and "&lt;" in read.text and "a?b#c%41;d" in read.text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in read.text and "\N{REPLACEMENT CHARACTER}fdp.exe" in read.text


def test_the_way_up_is_told(area: Area, root: Path) -> None:
    (root / "a" / "b c").mkdir(parents=True)
    read = Page(page(area, b"a/b c"))
    assert read.links[:3] == ["/", "/area/", "/area/a/"]
    assert re.search(rb"<h1>b c</h1>", page(area, b"a/b c"))


def test_a_link_is_what_it_leads_to_if_that_is_inside(area: Area, root: Path) -> None:
    (root / "real").write_bytes(bytes(1234))
    (root / "inside").symlink_to("real")
    (root / "outside").symlink_to("/etc/passwd")
    (root / "nowhere").symlink_to("nothing")
    os.mkfifo(root / "pipe")
    content = page(area)
    assert Page(content).members == ["./inside", "./real"]
    assert content.count(b'value="1234"') == 2


def test_more_than_can_be_sorted_are_told_as_such_and_all_are_there(area: Area, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "SORTED_AT_MOST", 50)
    for number in range(120):
        (root / f"{number:03}").touch()
    content = page(area, order="-name")
    assert sorted(Page(content).members) == [f"./{number:03}" for number in range(120)]
    assert b"they are not sorted" in content and b"aria-sort" not in content
    assert b"0 folders, 120 files" in content


def test_a_listing_is_not_kept_in_memory(area: Area, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 000 entries as the directory would give them, at the cost of those that are sorted."""
    monkeypatch.setattr(os, "scandir", lambda directory: contextlib.nullcontext(iter(range(200_000))))
    entries = lambda area, path, members: (listing.Entry(b"name-%d" % one, False, one, one) for one in members)  # noqa: E731
    monkeypatch.setattr(listing, "_entries", entries)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = sum(piece.count(b"<tr>") for piece in listing.page(area, b"", area.open(b"", os.O_RDONLY | os.O_DIRECTORY)))
    assert told == 200_001
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 20_000


def test_a_directory_that_must_not_be_listed_is_a_refusal(area: Area) -> None:
    assert Asker(area, rights=4)("GET", b"/").status == "permission_denied"


def test_the_page_may_load_its_stylesheet_and_icon_and_nothing_else(area: Area, area_of: Callable[..., Area]) -> None:
    said = Asker(area)("GET", b"/")
    policy = dict(part.strip().split(" ", 1) for part in said.fields["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["style-src"] == policy["img-src"] == "'self'"
    assert "unsafe" not in said.fields["content-security-policy"]
    assert said.fields["cache-control"] == "no-cache"


def test_a_closed_listing_closes_its_directory(area: Area, members: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    pieces = listing.page(area, b"", area.open(b"", os.O_RDONLY | os.O_DIRECTORY))
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(Refusal):
        area.open(b"nothing", os.O_RDONLY)
