"""LOCK, UNLOCK, PROPPATCH and the If header, as the worker's table of methods answers them, on ext4 or overlay and on tmpfs."""

import contextlib
import functools
import gc
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any
from xml.etree import ElementTree

import pytest
import wsgidav

from teapot.channel.worker_messages import ALLOWED, Request
from teapot.configuration import Worker
from teapot.worker import annotations, dispatch
from teapot.worker.annotations import ATTRIBUTE, Annotations, Lock
from teapot.worker.area import Area
from teapot.worker.dispatch import Office
from teapot.worker.journal import Journal
from teapot.worker.reading import Reply
from teapot.worker.refusal import Refusal
from tests.worker_files.accounts import ALICE, as_account
from tests.worker_files.conftest import tree

LOCKINFO = (
    b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:%b/></D:lockscope><D:locktype><D:write/></D:locktype>'
    b"<D:owner><D:href>mailto:somebody@example.org</D:href></D:owner></D:lockinfo>"
)
EXCLUSIVE, SHARED = LOCKINFO % b"exclusive", LOCKINFO % b"shared"


class Caller:
    """Somebody who sends requests to a worker of this area."""

    def __init__(self, area: Area, principal: str) -> None:
        self._office = Office({"area": area}, Journal(None), Worker(durability="none"))
        self._principal = principal

    def __call__(self, method: str, path: bytes, body: bytes = b"", **more: Any) -> Reply:
        target = more.pop("to", b"")
        fields = {name.replace("_", "-"): value for name, value in more.items()}
        request = Request(
            1, "r", method, "area", path, False, 7, fields, False, len(body), "area" if target else "", target, False, 7, self._principal
        )
        return dispatch.carry_out(self._office, request, body)

    def status(self, method: str, path: bytes, body: bytes = b"", **more: Any) -> int | str:
        """Or the code of the refusal."""
        try:
            reply = self(method, path, body, **more)
            if reply.body:
                reply.body.whole(1 << 20)
            return reply.status
        except Refusal as refusal:
            return refusal.problem

    def lock(self, path: bytes, body: bytes = EXCLUSIVE, **more: Any) -> bytes:
        """The token."""
        return dict(self("LOCK", path, body, **more).fields)[b"lock-token"].strip(b"<>")

    def set(self, path: bytes, *elements: bytes, **more: Any) -> bytes:
        return content(self("PROPPATCH", path, update(*elements), **more))

    def find(self, path: bytes, *names: bytes, depth: bytes = b"0") -> bytes:
        asked = b"".join(b"<%b/>" % name for name in names)
        body = b'<D:propfind xmlns:D="DAV:" xmlns:X="urn:x"><D:prop>%b</D:prop></D:propfind>' % asked
        return content(self("PROPFIND", path, body, depth=depth))


def update(*elements: bytes) -> bytes:
    return b'<D:propertyupdate xmlns:D="DAV:" xmlns:X="urn:x"><D:set><D:prop>%b</D:prop></D:set></D:propertyupdate>' % b"".join(elements)


def content(reply: Reply) -> bytes:
    assert reply.body is not None
    whole = b"".join(part for part in reply.body.parts if isinstance(part, bytes))
    ElementTree.fromstring(whole)
    return whole


def holding(token: bytes) -> dict[str, bytes]:
    return {"if": b"(<%b>)" % token}


@pytest.fixture
def alice(area: Area) -> Caller:
    return Caller(area, "alice")


@pytest.fixture
def bob(area: Area) -> Caller:
    """Another person whom the site serves as the same account, as in a VO's area."""
    return Caller(area, "bob")


@pytest.fixture(autouse=True)
def files(root: Path) -> Iterator[None]:
    (root / "c" / "d").mkdir(parents=True)
    (root / "c" / "f").write_bytes(b"f")
    (root / "c" / "d" / "g").write_bytes(b"g")
    (root / "e").mkdir()
    yield


# --- what a lock keeps out


WRITES: list[tuple[str, bytes, dict[str, Any]]] = [
    ("PUT", b"c/f", {"body": b"new"}),
    ("DELETE", b"c/f", {}),
    ("DELETE", b"c", {}),
    ("MOVE", b"c/f", {"to": b"e/f"}),
    ("MOVE", b"c", {"to": b"e/c"}),
    ("MOVE", b"c/d/g", {"to": b"c/f"}),
    ("COPY", b"c/d/g", {"to": b"c/f"}),
    ("COPY", b"e", {"to": b"c"}),
    ("PROPPATCH", b"c/f", {"body": update(b"<X:a/>")}),
]


@pytest.mark.parametrize(("method", "path", "more"), WRITES)
def test_a_locked_file_is_changed_only_by_who_brings_the_token(
    alice: Caller, method: str, path: bytes, more: dict[str, Any], root: Path
) -> None:
    token = alice.lock(b"c/f")
    before = tree(root)
    assert alice.status(method, path, **more) == "locked"
    assert tree(root) == before
    tagged = b"</area/c/f> (<%b>)" % token
    assert alice.status(method, path, **more, **{"if": tagged}) in (200, 201, 204, 207)


@pytest.mark.parametrize(("method", "path", "more"), WRITES)
def test_the_token_of_somebody_else_opens_nothing(
    alice: Caller, bob: Caller, method: str, path: bytes, more: dict[str, Any], root: Path
) -> None:
    tagged = b"</area/c/f> (<%b>)" % alice.lock(b"c/f")
    before = tree(root)
    assert bob.status(method, path, **more, **{"if": tagged}) == "locked"
    assert tree(root) == before


def test_a_locked_file_is_read_and_copied_by_everybody(alice: Caller, bob: Caller) -> None:
    alice.lock(b"c/f")
    assert bob.status("GET", b"c/f") == 200
    assert bob.status("COPY", b"c/f", to=b"e/f") == 201


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [("PUT", b"c/new", {"body": b"x"}), ("MKCOL", b"c/new", {}), ("DELETE", b"c/f", {}), ("MOVE", b"c/f", {"to": b"e/f"}),
     ("COPY", b"c/f", {"to": b"c/new"}), ("LOCK", b"c/new", {"body": EXCLUSIVE}),
     ("MOVE", b"c/d/g", {"to": b"c/f"}), ("COPY", b"c/d/g", {"to": b"c/f"})],
)  # fmt: skip
def test_a_lock_on_a_collection_alone_protects_its_list_of_members(alice: Caller, method: str, path: bytes, more: dict[str, Any]) -> None:
    token = alice.lock(b"c", depth=b"0")
    assert alice.status(method, path, **more) == "locked"
    assert alice.status(method, path, **more, **{"if": b"</area/c> (<%b>)" % token}) in (201, 204)


def test_a_lock_on_a_collection_alone_leaves_the_content_of_members_free(alice: Caller) -> None:
    alice.lock(b"c", depth=b"0")
    assert alice.status("PUT", b"c/f", b"new") == 200
    assert alice.status("PUT", b"c/d/new", b"new") == 201


def test_a_lock_of_infinite_depth_covers_what_is_below_and_what_will_be(alice: Caller) -> None:
    token = alice.lock(b"c")
    for method, path in (("PUT", b"c/d/g"), ("PUT", b"c/d/new"), ("MKCOL", b"c/d/h"), ("DELETE", b"c/d")):
        assert alice.status(method, path) == "locked"
        assert alice.status(method, path, **{"if": b"</area/c> (<%b>)" % token}) in (200, 201, 204)


# --- who may lock


def test_an_exclusive_lock_bears_no_other_above_or_below(alice: Caller, bob: Caller) -> None:
    alice.lock(b"c/d/g")
    assert bob.status("LOCK", b"c/d/g", SHARED) == "locked"
    assert bob.status("LOCK", b"c", EXCLUSIVE) == 207
    assert bob.status("LOCK", b"c", EXCLUSIVE, depth=b"0") == 200
    assert bob.status("LOCK", b"c/f", EXCLUSIVE) == 200


def test_shared_locks_of_a_collection_and_of_its_members_bear_each_other(alice: Caller, bob: Caller) -> None:
    bob.lock(b"c/d/g", SHARED)
    assert alice.status("LOCK", b"c", EXCLUSIVE, depth=b"infinity") == 207
    assert alice.status("LOCK", b"c", SHARED, depth=b"infinity") == 200
    assert bob.status("PUT", b"c/d/g", b"x") == "locked", "to write takes the token all the same"


def test_what_keeps_a_collection_from_being_locked_as_a_whole_is_named(alice: Caller, bob: Caller, root: Path) -> None:
    """RFC 4918, section 9.10.6: a Multi-Status, although nothing was locked."""
    bob.lock(b"c/d/g")
    reply = alice("LOCK", b"c", EXCLUSIVE, depth=b"infinity")
    said = content(reply)
    assert reply.status == 207
    assert b"<D:href>/area/c/d/g</D:href><D:status>HTTP/1.1 423 Locked</D:status>" in said
    assert b"<D:href>/area/c/</D:href><D:status>HTTP/1.1 424 Failed Dependency</D:status>" in said
    assert bob.status("PUT", b"c/f", b"free") == 200, "the collection is not locked"


def test_shared_locks_bear_each_other_and_each_of_their_tokens_opens(alice: Caller, bob: Caller) -> None:
    first, second = alice.lock(b"c/f", SHARED), bob.lock(b"c/f", SHARED)
    assert bob.status("LOCK", b"c/f", EXCLUSIVE) == "locked"
    assert alice.status("PUT", b"c/f", b"x", **holding(first)) == 200
    assert bob.status("PUT", b"c/f", b"x", **holding(second)) == 200
    assert bob.status("PUT", b"c/f", b"x", **holding(first)) == "locked"


def test_a_lock_on_nothing_makes_an_empty_file(alice: Caller, root: Path) -> None:
    reply = alice("LOCK", b"c/new", EXCLUSIVE)
    assert reply.status == 201
    assert (root / "c" / "new").read_bytes() == b""
    assert alice.status("PUT", b"c/new", b"x") == "locked"


@pytest.mark.parametrize("path", [b"missing/new", b"c/f/new"])
def test_a_lock_needs_a_collection_to_be_in(alice: Caller, path: bytes, root: Path) -> None:
    before = tree(root)
    assert alice.status("LOCK", path, EXCLUSIVE) in ("parent_missing", "is_file", "not_found")
    assert tree(root) == before


def test_a_lock_on_nothing_that_is_refused_leaves_nothing(alice: Caller, root: Path) -> None:
    token = alice.lock(b"c", SHARED)
    assert alice.status("LOCK", b"c/new", EXCLUSIVE, **{"if": b"</area/c> (<%b>)" % token}) == "locked"
    assert not (root / "c" / "new").exists()


def test_a_collection_with_too_many_members_is_not_locked_as_a_whole(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teapot.worker.provider.MOST_MEMBERS", 2)
    assert alice.status("LOCK", b"c", EXCLUSIVE) == "lock_too_wide"
    assert alice.status("LOCK", b"c", EXCLUSIVE, depth=b"0") == 200


# --- its life


def test_a_lock_is_refreshed_by_its_owner_alone(alice: Caller, bob: Caller) -> None:
    token = alice.lock(b"c", timeout=b"Second-10")
    assert b"Second-1000<" in content(alice("LOCK", b"c/f", timeout=b"Second-1001", **holding(token))).replace(
        b"Second-999", b"Second-1000"
    )
    assert bob.status("LOCK", b"c", **holding(token)) == "lock_of_another"
    assert alice.status("LOCK", b"c", **holding(b"urn:uuid:other")) == "precondition_failed"
    assert alice.status("LOCK", b"c") == "bad_xml"


def test_unlock_takes_the_token_of_the_owner_only(alice: Caller, bob: Caller) -> None:
    token = alice.lock(b"c/f")
    assert bob.status("UNLOCK", b"c/f", lock_token=b"<%b>" % token) == "lock_of_another"
    assert alice.status("UNLOCK", b"e", lock_token=b"<%b>" % token) == "lock_token_mismatch"
    assert alice.status("UNLOCK", b"c/f", lock_token=token) == "bad_header"
    assert alice.status("UNLOCK", b"c/f", lock_token=b"<%b>" % token) == 204
    assert bob.status("PUT", b"c/f", b"x") == 200


def test_a_lock_ends_with_its_time(alice: Caller, bob: Caller) -> None:
    alice.lock(b"c/f", timeout=b"Second-1")
    assert bob.status("PUT", b"c/f", b"x") == "locked"
    time.sleep(1.1)
    assert bob.status("PUT", b"c/f", b"x") == 200
    assert b"activelock" not in bob.find(b"c/f", b"D:lockdiscovery")


@pytest.mark.parametrize("timeout", [b"Infinite", b"Second-4100000000", b"Infinite, Second-4100000000", b"Second-99999999999999999999"])
def test_no_lock_lasts_longer_than_a_day_without_being_refreshed(alice: Caller, timeout: bytes) -> None:
    answer = content(alice("LOCK", b"c/f", EXCLUSIVE, timeout=timeout))
    seconds = re.search(rb"Second-(\d+)", answer)
    assert seconds and 86_390 <= int(seconds[1]) <= 86_400


def test_a_lock_survives_the_replacement_of_its_file_and_another_worker_sees_it(alice: Caller, area: Area) -> None:
    token = alice.lock(b"c/f")
    alice("PUT", b"c/f", b"new", **holding(token))
    assert Caller(area, "bob").status("PUT", b"c/f", b"x") == "locked"


def test_a_lock_does_not_move_or_copy_along(alice: Caller) -> None:
    token = alice.lock(b"c/f")
    alice("COPY", b"c/f", to=b"e/copy")
    alice("MOVE", b"c/f", to=b"e/moved", **holding(token))
    assert alice.status("PUT", b"e/copy", b"x") == 200
    assert alice.status("PUT", b"e/moved", b"x") == 200


def test_a_lock_inside_does_not_move_along_with_its_collection(alice: Caller) -> None:
    token = alice.lock(b"c/d/g")
    alice("MOVE", b"c", to=b"e/c", **{"if": b"</area/c/d/g> (<%b>)" % token})
    assert alice.status("PUT", b"e/c/d/g", b"x") == 200


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_what_takes_the_place_of_a_locked_file_is_locked(alice: Caller, method: str) -> None:
    token = alice.lock(b"c/f")
    alice(method, b"c/d/g", to=b"c/f", **{"if": b"</area/c/f> (<%b>)" % token})
    assert alice.status("PUT", b"c/f", b"x") == "locked"
    assert alice.status("PUT", b"c/f", b"x", **holding(token)) == 200


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize("source", [b"e", b"c/f"], ids=["collection", "file"])
def test_what_takes_the_place_of_a_locked_collection_is_locked(alice: Caller, method: str, source: bytes) -> None:
    token = alice.lock(b"c/d")
    assert alice.status(method, source, to=b"c/d", **{"if": b"</area/c/d> (<%b>)" % token}) == 204
    assert alice.status("PROPPATCH", b"c/d", update(b"<X:a/>")) == "locked"
    assert alice.status("PROPPATCH", b"c/d", update(b"<X:a/>"), **holding(token)) == 207


def test_a_lock_that_cannot_be_kept_is_refused(area: Area, root: Path) -> None:
    os.chown(root / "c" / "f", ALICE, ALICE)
    (root / "c" / "f").chmod(0o444)
    assert as_account(lambda: Caller(area, "alice").status("LOCK", b"c/f", EXCLUSIVE)) == "permission_denied"


def test_of_many_who_lock_at_once_one_gets_the_lock(area: Area, root: Path) -> None:
    """Worker processes, on this node or another, with nothing in common but the file system; expired locks in the way."""
    stale = annotations.pack(Annotations((Lock("urn:x:stale", True, True, b"", "x", time.time() - 1),)))
    for round in range(20):
        name = f"r{round}"
        (root / name).write_bytes(b"")
        os.setxattr(root / name, ATTRIBUTE, stale)
        start = time.monotonic() + 0.02
        children = [_in_child(functools.partial(_race, area, name.encode(), start)) for _ in range(6)]
        assert sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children) == [0, 1, 1, 1, 1, 1]


def _race(area: Area, path: bytes, start: float) -> bool:
    time.sleep(max(0.0, start - time.monotonic()))
    return Caller(area, "racer").status("LOCK", path, EXCLUSIVE) == 200


def _in_child(work: Callable[[], bool]) -> int:
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return child


# --- where nothing can be kept


@pytest.fixture
def bare(area_of: Callable[..., Area], folder: Path) -> Iterator[Path]:
    """A file system without extended attributes."""
    place = folder / "bare"
    place.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "ramfs", place], check=True)
    (place / "f").write_bytes(b"f")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_storage_without_attributes_is_class_1_and_says_why(area_of: Callable[..., Area], bare: Path) -> None:
    alice = Caller(area_of(at=bare), "alice")
    options = alice("OPTIONS", b"f")
    assert (b"dav", b"1") in options.fields
    assert options.body is not None and b"no extended attributes" in b"".join(options.body.parts)
    assert alice.status("LOCK", b"f", EXCLUSIVE) == "annotations_not_kept"
    assert alice.status("LOCK", b"new", EXCLUSIVE) == "annotations_not_kept"
    assert alice.status("PROPPATCH", b"f", update(b"<X:a/>")) == "annotations_not_kept"
    assert b"supportedlock" not in alice.find(b"f", b"D:getetag", b"D:supportedlock").partition(b"404")[0].partition(b"200 OK")[0]
    assert [name.name for name in bare.iterdir()] == ["f"]
    assert alice.status("PUT", b"f", b"x") == 200


# --- what is told of it


def test_lockdiscovery_tells_of_locks_above_too(alice: Caller) -> None:
    token = alice.lock(b"c")
    for path, depth in ((b"c", b"0"), (b"c/d/g", b"0"), (b"c/d", b"1")):
        told = alice.find(path, b"D:lockdiscovery", b"D:supportedlock", depth=depth)
        assert told.count(token) == told.count(b"<D:response>")
        assert b"<D:lockroot><D:href>/area/c</D:href></D:lockroot>" in told
        assert b"mailto:somebody@example.org" in told


def test_class_2_is_what_a_storage_with_attributes_answers(alice: Caller, area_of: Callable[..., Area]) -> None:
    assert (b"dav", b"1,2") in alice("OPTIONS", b"c").fields
    assert (b"dav", b"1") in Caller(area_of(read_only=True), "alice")("OPTIONS", b"c").fields


# --- If


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (b"(%T)", True),
        (b"([%E])", True),
        (b"(%T [%E])", True),
        (b'(%T ["other"])', False),
        (b'(["other"]) (%T)', True),
        (b"(Not <DAV:no-lock> %T)", True),
        (b"(not <DAV:no-lock>%T)", True),
        (b"(<DAV:no-lock>) (%T Not [%E])", False),
        (b"(W/[%E] %T)", None),
        (b"([W/%E] %T)", False),
        (b"<http://elsewhere.example/area/c/f> (%T)", True),
        (b"</area/c/f> (%T) ([%E])", True),
        (b"</area/e> (%T)", False),
        (b"</area/e> (Not %T)", True),
        (b"</area/missing> (%T [%E])", False),
        (b"</elsewhere> (%T)", False),
        (b"</area/%%2e%%2e/area/c/f> (%T)", False),
        (b"<urn:not:hierarchical> (%T)", False),
        (b"%T", None),
        (b"", None),
        (b"()", None),
        (b"(%T", None),
        (b"(%T) x", None),
        (b"(Not)", None),
        (b"</area/c/f>", None),
        (b"(%T) </area/c/f> (%T)", None),
        (b"</area/c/f> </area/c> (%T)", None),
        (b"(<no scheme>)", None),
        (b"(%T)" * 65, None),
    ],
)
def test_if_is_read_to_the_letter(alice: Caller, condition: bytes, holds: bool | None) -> None:
    token = alice.lock(b"c/f")
    tag = dict(alice("HEAD", b"c/f").fields)[b"etag"]
    value = condition.replace(b"%T", b"<%b>" % token).replace(b"%E", tag).replace(b"%%", b"%")
    expected = {True: (200,), False: ("precondition_failed",), None: ("bad_header",)}[holds]
    answer = alice.status("PUT", b"c/f", b"new", **{"if": value})
    if holds and token not in value:
        expected = ("locked",)  # it holds, and opens nothing
    assert answer in expected


@pytest.mark.parametrize("method", ["GET", "HEAD", "PROPFIND", "PUT", "DELETE", "MKCOL", "COPY", "MOVE", "PROPPATCH", "LOCK", "UNLOCK"])
def test_no_method_overlooks_an_if_that_does_not_hold(alice: Caller, method: str, root: Path) -> None:
    before = tree(root)
    more: dict[str, Any] = {"if": b"(<urn:uuid:nobody>)"}
    more |= {"to": b"e/x"} if method in ("COPY", "MOVE") else {}
    more |= {"PROPFIND": {"depth": b"0"}, "UNLOCK": {"lock_token": b"<urn:uuid:nobody>"}}.get(method, {})
    body = {"PUT": b"x", "PROPPATCH": update(b"<X:a/>"), "LOCK": EXCLUSIVE}.get(method, b"")
    assert alice.status(method, b"e/new" if method == "MKCOL" else b"c/f", body, **more) == "precondition_failed"
    assert tree(root) == before


# --- dead properties


def test_a_property_is_kept_told_replaced_and_removed(alice: Caller) -> None:
    alice.set(b"c/f", b'<X:a xml:lang="de" at="1">\xc3\xa4<X:in/>&lt;</X:a>')
    told = alice.find(b"c/f", b"X:a", b"X:b")
    assert b"\xc3\xa4" in told and b"&lt;" in told and b'xml:lang="de"' in told
    assert b"404 Not Found" in told
    alice.set(b"c/f", b"<X:a>other</X:a>")
    assert b"other" in alice.find(b"c/f", b"X:a")
    alice("PROPPATCH", b"c/f", update(b"<X:a/>").replace(b"D:set>", b"D:remove>"))
    assert b"200 OK" not in alice.find(b"c/f", b"X:a")


def test_properties_go_along_with_replacement_copy_and_move(alice: Caller) -> None:
    alice.set(b"c/f", b"<X:a>kept</X:a>")
    alice.set(b"c/d", b"<X:a>kept</X:a>")
    alice("PUT", b"c/f", b"new")
    alice("COPY", b"c", to=b"e/copy")
    alice("MOVE", b"e/copy", to=b"e/moved")
    for path in (b"c/f", b"e/moved/f", b"e/moved/d"):
        assert b"kept" in alice.find(path, b"X:a")


def test_a_copy_replaces_the_properties_of_its_target(alice: Caller) -> None:
    alice.set(b"c/f", b"<X:a>source</X:a>")
    alice.set(b"c/d/g", b"<X:a>target</X:a>")
    alice("COPY", b"c/f", to=b"c/d/g")
    assert b"source" in alice.find(b"c/d/g", b"X:a")


def test_all_of_a_proppatch_is_done_or_nothing(alice: Caller) -> None:
    answer = alice.set(b"c/f", b"<X:a>new</X:a>", b"<D:getetag>mine</D:getetag>")
    assert b"403 Forbidden" in answer and b"424 Failed Dependency" in answer
    assert b"200 OK" not in alice.find(b"c/f", b"X:a")


def test_properties_have_a_budget_that_is_no_full_disk(alice: Caller) -> None:
    answer = alice.set(b"c/f", b"<X:a>%b</X:a>" % os.urandom(3000).hex().encode())
    assert b"HTTP/1.1 507" in answer
    assert alice.status("LOCK", b"c/f", EXCLUSIVE) == 200


def test_members_are_listed_with_their_properties(alice: Caller) -> None:
    alice.set(b"c/f", b"<X:a>100%</X:a>")
    assert b"100%" in alice.find(b"c", b"X:a", depth=b"1")
    assert b"100%" in content(alice("PROPFIND", b"c", depth=b"1"))


@pytest.mark.parametrize(
    ("name", "element"),
    [
        ("{DAV:}getcontentlength", b'<D:getcontentlength xmlns:D="DAV:">7</D:getcontentlength>'),
        ("{urn:x}a", b'<D:resourcetype xmlns:D="DAV:"><D:collection/></D:resourcetype>'),
        ("{urn:x}a", b'<X:b xmlns:X="urn:x"/>'),
        ("{http://owncloud.org/ns}checksums", b'<o:checksums xmlns:o="http://owncloud.org/ns">SHA1:0</o:checksums>'),
        ("{urn:x}a", b"<a/>"),
    ],
)
def test_what_somebody_wrote_into_the_attribute_by_hand_stands_for_no_other_property(
    alice: Caller, root: Path, name: str, element: bytes
) -> None:
    os.setxattr(root / "c" / "f", ATTRIBUTE, annotations.pack(Annotations((), ((name, element),))))
    told = content(alice("PROPFIND", b"c/f", depth=b"0"))
    assert element not in told and told.count(b"getcontentlength>") == 2 and b"<D:collection/>" not in told


@pytest.mark.parametrize(
    "element",
    [
        b"</D:prop>",
        b"<X:a xmlns:X='urn:x'/><more/>",
        b"<?xml version='1.0'?><a/>",
        b"<!DOCTYPE a><a/>",
        b"\xff\xfe<\0a\0/\0>\0",
        b"text",
        b"",
    ],
)
def test_what_somebody_wrote_into_the_attribute_by_hand_cannot_break_an_answer(alice: Caller, root: Path, element: bytes) -> None:
    lock = Lock("urn:uuid:1", True, True, element, "<&>", time.time() + 100)
    odd = [Lock(token, True, True, b"", "x", time.time() + 100) for token in ("<", "a b", "\0", "")]
    forged = Annotations((lock, *odd), (("{urn:x}a", element),))
    os.setxattr(root / "c" / "f", ATTRIBUTE, annotations.pack(forged))
    told = alice.find(b"c", b"X:a", b"D:lockdiscovery", depth=b"1")
    assert told.count(b"<D:response>") == 3
    assert told.count(b"<D:activelock>") == 1


@pytest.mark.parametrize("value", [b"", b"\x01", b"\x01garbage", b"\x02other form", b"\x01" + os.urandom(200)])
def test_an_attribute_that_cannot_be_read_counts_as_none(alice: Caller, root: Path, value: bytes) -> None:
    os.setxattr(root / "c" / "f", ATTRIBUTE, value)
    assert alice.status("PUT", b"c/f", b"x") == 200
    assert alice.status("LOCK", b"c/f", EXCLUSIVE) == 200


def test_a_lock_made_up_to_last_for_ever_does_not_stand(alice: Caller, root: Path) -> None:
    os.setxattr(root / "c" / "f", ATTRIBUTE, annotations.pack(Annotations((Lock("urn:x", True, True, b"", "", time.time() + 1e9),))))
    assert alice.status("PUT", b"c/f", b"x") == 200


# --- which engine answers


ENGINES: dict[str, tuple[str, dict[str, Any]]] = {
    "GET": ("ours", {}),
    "HEAD": ("ours", {}),
    "PUT": ("ours", {"body": b"new"}),
    "DELETE": ("ours", {}),
    "MKCOL": ("ours", {"path": b"new"}),
    "MOVE": ("ours", {"to": b"e/f"}),
    "COPY": ("ours", {"to": b"e/f"}),
    "PROPFIND": ("ours", {"depth": b"0"}),
    "OPTIONS": ("ours", {}),
    "LOCK": ("WsgiDAV", {"body": EXCLUSIVE}),
    "UNLOCK": ("WsgiDAV", {}),
    "PROPPATCH": ("WsgiDAV", {"body": update(b"<X:a/>")}),
}


@pytest.mark.parametrize("method", [name.decode() for name in ALLOWED])
def test_each_method_is_answered_by_the_engine_that_is_its_own(alice: Caller, method: str) -> None:
    """Seen by whose code runs."""
    engine, more = ENGINES[method]
    if method == "UNLOCK":
        more = {"lock_token": b"<%b>" % alice.lock(b"c/f")}
    with _calls_into(os.path.dirname(wsgidav.__file__)) as calls:
        assert isinstance(alice.status(method, **({"path": b"c/f"} | more)), int)
    assert bool(calls) == (engine == "WsgiDAV"), calls


@contextlib.contextmanager
def _calls_into(folder: str) -> Iterator[list[str]]:
    """The functions of this folder that are called meanwhile, not those by which earlier objects end."""
    gc.collect()
    calls: list[str] = []

    def see(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(folder + os.sep):
            calls.append(frame.f_code.co_qualname)

    sys.setprofile(see)
    try:
        yield calls
    finally:
        sys.setprofile(None)
