"""What a worker does where rules differ from path to path: it follows no symbolic link, and moves no members that may not be moved."""

from collections.abc import Callable
from pathlib import Path

import pytest

from teapot.channel.worker_messages import EMPTY_ONLY, FILES_TOO, MAY_LIST, MAY_REPLACE, NO_LINKS
from teapot.worker.area import Area
from tests.worker_files.asking import Asker

EVERYTHING = MAY_REPLACE | MAY_LIST | FILES_TOO


@pytest.fixture
def tree(root: Path) -> Path:
    for folder in ("open", "closed", "full", "empty"):
        (root / folder).mkdir()
    (root / "closed" / "secret").write_bytes(b"secret")
    (root / "full" / "member").write_bytes(b"member")
    (root / "open" / "link").symlink_to("../closed/secret")
    (root / "open" / "way").symlink_to("../closed")
    return root


@pytest.mark.parametrize(
    ("method", "path", "to"),
    [
        ("GET", b"open/link", None),
        ("HEAD", b"open/link", None),
        ("PROPFIND", b"open/link", None),
        ("GET", b"open/way/secret", None),
        ("PUT", b"open/way/new", None),
        ("PUT", b"open/link", None),
        ("MKCOL", b"open/way/new", None),
        ("DELETE", b"open/way/secret", None),
        ("MOVE", b"open/way/secret", b"open/mine"),
        ("COPY", b"open/link", b"open/mine"),
        ("COPY", b"full/member", b"open/way/new"),
    ],
)
def test_no_link_leads_to_other_rules(area_of: Callable[..., Area], tree: Path, method: str, path: bytes, to: bytes | None) -> None:
    assert Asker(area_of(), EVERYTHING | NO_LINKS)(method, path, b"new" if method == "PUT" else b"", to=to).status == "leaves_area"
    assert sorted(one.name for one in (tree / "closed").iterdir()) == ["secret"]
    assert (tree / "closed" / "secret").read_bytes() == b"secret"


def test_a_copied_collection_leaves_links_behind(area_of: Callable[..., Area], tree: Path) -> None:
    assert Asker(area_of(), EVERYTHING | NO_LINKS)("COPY", b"open", to=b"copy").status == 201
    assert list((tree / "copy").iterdir()) == []


def test_elsewhere_links_inside_the_area_are_followed_as_ever(area_of: Callable[..., Area], tree: Path) -> None:
    assert Asker(area_of(), EVERYTHING)("GET", b"open/link").body == b"secret"


@pytest.mark.parametrize(("method", "to"), [("DELETE", None), ("MOVE", b"new"), ("COPY", b"new")])
def test_a_collection_goes_without_members_only(area_of: Callable[..., Area], tree: Path, method: str, to: bytes | None) -> None:
    ask = Asker(area_of(), EVERYTHING | EMPTY_ONLY)
    assert ask(method, b"full", to=to).status == "collection_not_empty"
    assert (tree / "full" / "member").exists() and not (tree / "new").exists()
    assert ask(method, b"empty", to=to).status in (201, 204)


def test_members_that_may_not_go_are_not_replaced_either(area_of: Callable[..., Area], tree: Path) -> None:
    assert Asker(area_of(), EVERYTHING | EMPTY_ONLY)("MOVE", b"empty", to=b"full").status == "collection_not_empty"
    assert (tree / "full" / "member").exists()


def test_a_collection_copied_without_its_members_needs_nothing_of_them(area_of: Callable[..., Area], tree: Path) -> None:
    assert Asker(area_of(), EVERYTHING | EMPTY_ONLY)("COPY", b"full", to=b"new", depth=b"0").status == 201
    assert list((tree / "new").iterdir()) == []
