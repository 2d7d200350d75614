"""A listing of many costs what it asks for: a member's inode and attributes are looked at only where the answer needs them."""

import os
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from teapot.worker import propfind
from teapot.worker.area import Area
from teapot.worker.propfind_request import Property, Wanted

MEMBERS = 30


def asked(*names: str, namespace: str = "DAV:") -> Wanted:
    return Wanted(tuple(Property(namespace, name) for name in names))


@pytest.fixture
def members(root: Path) -> Path:
    for number in range(MEMBERS):
        (root / f"{number}.dat").touch()
    return root


@pytest.fixture(autouse=True)
def where_it_was(tmp_path: Path) -> Any:
    """A worker's threads each have a working directory of their own; the tests' threads do not."""
    here = os.getcwd()
    yield
    os.chdir(here)


@pytest.mark.parametrize(
    ("wanted", "stats", "attributes"),
    [
        (asked("displayname", "resourcetype", "getcontenttype"), 0, 0),
        (asked("supportedlock"), 0, 0),
        (asked("getcontentlength", "getlastmodified", "getetag"), MEMBERS, 0),
        (asked("checksum", namespace="http://owncloud.org/ns"), 0, 0),
        (asked("colour", namespace="urn:mine"), 0, MEMBERS),
        (asked("lockdiscovery"), 0, MEMBERS),
        (Wanted(None, names_only=True), 0, MEMBERS),
        (Wanted(None), MEMBERS, MEMBERS),
    ],
    ids=["name and kind", "the same for all", "size and times", "what nobody can set", "a dead one", "locks", "names", "everything"],
)
def test_only_what_was_asked_for_is_looked_up(area: Area, members: Path, wanted: Wanted, stats: int, attributes: int) -> None:
    calls: Counter[str] = Counter()

    def see(frame: FrameType, event: str, what: Any) -> None:
        if event == "c_call":
            calls[what.__name__] += 1

    answer = propfind.answer(area, b"", True, wanted, may_list=True, files_too=True)
    next(answer)  # the collection itself
    sys.setprofile(see)
    try:
        told = b"".join(answer)
    finally:
        sys.setprofile(None)
    assert told.count(b"<D:response>") == MEMBERS
    assert (calls["stat"], calls["listxattr"], calls["getxattr"]) == (stats, attributes, 0)


@pytest.mark.parametrize("kind", ["file", "collection", "link to a file", "link to a collection"])
def test_a_member_is_of_its_kind_without_a_look_at_it(area: Area, root: Path, kind: str) -> None:
    (root / "below").mkdir()
    (root / "below" / "file").touch()
    (root / "below" / "collection").mkdir()
    member = root / "member"
    {
        "file": member.touch,
        "collection": member.mkdir,
        "link to a file": lambda: member.symlink_to("below/file"),
        "link to a collection": lambda: member.symlink_to("below/collection"),
    }[kind]()
    os.mkfifo(root / "pipe")
    answer = propfind.answer(area, b"", True, asked("resourcetype"), may_list=True, files_too=True)
    told = b"".join(answer).decode()
    response = next(part for part in told.split("<D:response>") if "/member" in part)
    assert ("<D:collection/>" in response) == ("collection" in kind)
    assert ("/member/</D:href>" in response) == ("collection" in kind)
    assert "pipe" not in told
