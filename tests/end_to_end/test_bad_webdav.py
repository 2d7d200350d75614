"""Bad WebDAV, through the gateway: each has its status and code, changes nothing, and the worker serves on."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.accounts import Account
from tests.service.clients import Answer
from tests.service.site import ALICE, Site
from tests.service.teapot_process import Teapot
from tests.service.tokens import Tokens
from tests.worker_files.conftest import tree

LOCKINFO = b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
UPDATE = b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop>%b</D:prop></D:set></D:propertyupdate>'
PROMPT_S = 5.0


@pytest.fixture(autouse=True)
def place(site: Site, alice: Account) -> Iterator[Path]:
    """/home/w: a file, a collection with a file, and a name that only an encoded "?" tells from another."""
    place = site.home_of(alice) / "w"
    alice.run("mkdir", "-p", str(place / "c" / "d"))
    for name in ("f", "c/g", "report"):
        alice.run("sh", "-c", f"printf {name} > {place / name}")
    yield place
    alice.run("rm", "-rf", str(place))


class Asker:
    def __init__(self, teapot: Teapot, token: str) -> None:
        self._teapot, self._token = teapot, token

    def __call__(self, method: str, target: str, body: bytes | None = None, **fields: str) -> Answer:
        headers = {name.replace("_", "-").title(): value for name, value in fields.items()}
        return self._teapot.request(method, target, self._token, body, headers=headers)


@pytest.fixture
def ask(teapot: Teapot, as_alice: str) -> Asker:
    return Asker(teapot, as_alice)


# --- XML

BOMB = b'<!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
EXTERNAL = b'<!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
CROWD = b" ".join(b'xmlns:n%d="urn:%d"' % (number, number) for number in range(2500))
BAD_XML = {
    "bomb": BOMB + b'<D:%b xmlns:D="DAV:">&c;</D:%b>',
    "external entity": EXTERNAL + b'<D:%b xmlns:D="DAV:">&x;</D:%b>',
    "external document type": b'<!DOCTYPE b SYSTEM "http://127.0.0.1:9/x"><D:%b xmlns:D="DAV:"/>',
    "depth": b'<D:%b xmlns:D="DAV:">' + b"<D:a>" * 2000 + b"</D:a>" * 2000 + b"</D:%b>",
    "undeclared prefix": b"<D:%b/>",
    "not closed": b'<D:%b xmlns:D="DAV:">',
    "another root": b'<x xmlns="urn:%b"/>',
    "unknown encoding": b'<?xml version="1.0" encoding="shift_jis"?><D:%b xmlns:D="DAV:"/>',
    "no xml": b"%b",
    "a control character": b'<D:%b xmlns:D="DAV:">\x01</D:%b>',
}


@pytest.mark.parametrize("kind", BAD_XML)
@pytest.mark.parametrize(("method", "element"), [("PROPFIND", b"propfind"), ("PROPPATCH", b"propertyupdate"), ("LOCK", b"lockinfo")])
def test_bad_xml_is_400(ask: Asker, place: Path, method: str, element: bytes, kind: str) -> None:
    before, began = tree(place), time.monotonic()
    body = BAD_XML[kind].replace(b"%b", element)
    answer = ask(method, "/home/w/f", body, depth="0")
    assert (answer.status, answer.code) == (400, "bad_xml")
    assert b"root:" not in answer.body
    assert time.monotonic() - began < PROMPT_S
    assert tree(place) == before


@pytest.mark.parametrize(("method", "element"), [("PROPFIND", b"propfind"), ("PROPPATCH", b"propertyupdate"), ("LOCK", b"lockinfo")])
def test_10_000_namespaces_are_refused_before_they_cost_anything(ask: Asker, method: str, element: bytes) -> None:
    """So many do not fit into a body that a worker takes; as many as fit are too many."""
    began = time.monotonic()
    many = b" ".join(b'xmlns:n%d="urn:%d"' % (number, number) for number in range(10_000))
    answer = ask(method, "/home/w/f", b'<D:%b xmlns:D="DAV:" %b/>' % (element, many), depth="0")
    assert answer.status == 415
    answer = ask(method, "/home/w/f", b'<D:%b xmlns:D="DAV:" %b/>' % (element, CROWD), depth="0")
    assert (answer.status, answer.code) == (400, "bad_xml")
    assert time.monotonic() - began < PROMPT_S


def test_a_property_may_be_anything_that_is_xml(ask: Asker) -> None:
    odd = b'<x xmlns="urn:x" xml:lang="de">&#128512;&lt;]]&gt;<!-- c --><y/><![CDATA[<z>]]></x>'
    assert ask("PROPPATCH", "/home/w/f", UPDATE % odd).status == 207
    asked = b'<propfind xmlns="DAV:"><prop><x xmlns="urn:x"/></prop></propfind>'
    told = ask("PROPFIND", "/home/w/f", asked, depth="0")
    assert "\U0001f600&lt;]]&gt;".encode() in told.body and b"&lt;z&gt;" in told.body


# --- header fields


@pytest.mark.parametrize("depth", ["2", "-1", "01", "infinity, 1", "Infinite", "\xb2", "1 1", "", "0x0"])
@pytest.mark.parametrize("method", ["PROPFIND", "COPY", "DELETE", "PROPPATCH", "LOCK"])
def test_a_depth_that_is_none_is_400(ask: Asker, place: Path, method: str, depth: str) -> None:
    before = tree(place)
    body = {"LOCK": LOCKINFO, "PROPPATCH": UPDATE % b"<x/>"}.get(method)
    answer = ask(method, "/home/w/c", body, depth=depth, destination="/home/w/copy")
    assert (answer.status, answer.code) == (400, "bad_header")
    assert tree(place) == before


def test_an_if_by_its_grammar_and_a_little_beside_it_never_lets_a_write_through_unasked(ask: Asker, place: Path) -> None:
    """Random sentences about a locked file: without its token nothing is written, and no answer is an error of ours."""
    chance = random.Random(4918)
    token = ask("LOCK", "/home/w/f", LOCKINFO).headers["lock-token"]
    for _ in range(300):
        sentence = _sentence(chance)
        answer = ask("PUT", "/home/w/f", b"changed", **{"if": sentence})
        assert answer.status in (400, 412, 423), (sentence, answer)
        assert (place / "f").read_bytes() == b"f", sentence
    assert ask("PUT", "/home/w/f", b"changed", **{"if": f"({token})"}).status == 200


def _sentence(chance: random.Random) -> str:
    """RFC 4918, section 10.4, with now and then something left out, doubled or put in."""
    text = "".join(chance.choice(("", "<http://localhost/home/w/f> ", "</home/w/c>")) + _list(chance) for _ in range(chance.randint(1, 4)))
    for _ in range(chance.choice((0, 0, 1, 3))):
        at = chance.randrange(len(text) + 1)
        text = (
            text[:at]
            + chance.choice(("", "(", ")", "<", ">", "[", "]", '"', "Not ", " ", ",", "\xe9", "W/"))
            + text[at + chance.randint(0, 2) :]
        )
    return text


def _list(chance: random.Random) -> str:
    tokens = ("<urn:uuid:00000000-0000-4000-8000-000000000000>", "<DAV:no-lock>", '["tag"]', '[W/"tag"]', '[""]')
    return "(" + " ".join(chance.choice(("", "Not ", "not")) + chance.choice(tokens) for _ in range(chance.randint(1, 4))) + ")"


@pytest.mark.parametrize(
    "value", ["", "x", "<>", "<x>", "urn:uuid:1", "<urn:uuid:1", "<urn:uuid:1> <urn:uuid:2>", "<urn:a b>", "<urn:\xe9>"]
)
def test_a_lock_token_that_is_none_is_400(ask: Asker, value: str) -> None:
    answer = ask("UNLOCK", "/home/w/f", lock_token=value)
    assert (answer.status, answer.code) == (400, "bad_header")


@pytest.mark.parametrize("timeout", ["", "x", "Second-", "Second--1", "Second-0", "Second-" + "9" * 4000, "Second-1, Infinite", "\xe9"])
def test_a_timeout_that_is_none_gets_one_of_ours(ask: Asker, timeout: str) -> None:
    answer = ask("LOCK", "/home/w/f", LOCKINFO, timeout=timeout)
    assert answer.status == 200 and b"<D:timeout>Second-" in answer.body


# --- locks of others


def test_the_lock_of_another_person_in_a_shared_area_stands(ask: Asker, teapot: Teapot, tokens: Tokens, site: Site) -> None:
    """In a VO's area both are the same account to the kernel."""
    bob = Asker(teapot, tokens.of("bob-77aa"))
    assert ask("PUT", "/vo/shared", b"alice's").status == 201
    token = ask("LOCK", "/vo/shared", LOCKINFO).headers["lock-token"]
    condition: dict[str, Any] = {"if": f"({token})"}
    assert (bob("PUT", "/vo/shared", b"x", **condition).code, bob("DELETE", "/vo/shared", **condition).code) == ("locked", "locked")
    assert bob("UNLOCK", "/vo/shared", lock_token=token).code == "lock_of_another"
    assert bob("LOCK", "/vo/shared", None, **condition).code == "lock_of_another"
    assert ask("UNLOCK", "/vo/shared", lock_token=token).status == 204
    assert bob("DELETE", "/vo/shared").status == 204


@pytest.mark.parametrize("method", ["LOCK", "UNLOCK", "PROPPATCH"])
@pytest.mark.parametrize("scope", ["storage.read:/", "storage.create:/", "storage.modify:/w/c"])
def test_locks_and_properties_take_the_right_to_modify(teapot: Teapot, tokens: Tokens, method: str, scope: str) -> None:
    reader = Asker(teapot, tokens.of(ALICE, scope))
    answer = reader(method, "/home/w/f", {"LOCK": LOCKINFO, "PROPPATCH": UPDATE % b"<x/>"}.get(method), lock_token="<urn:x:y>")
    assert (answer.status, answer.code) == (403, "insufficient_scope")


# --- Destination


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize(
    ("name", "stored"), [("report%3F2.txt", "report?2.txt"), ("report%23a", "report#a"), ("report%3Bv", "report;v"), ("%25", "%")]
)
def test_an_encoded_separator_in_a_destination_is_part_of_the_name(ask: Asker, place: Path, method: str, name: str, stored: str) -> None:
    assert ask(method, "/home/w/f", destination=f"/home/w/{name}").status == 201
    assert (place / stored).read_bytes() == b"f"
    assert (place / "report").read_bytes() == b"report"


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize(
    ("destination", "status"),
    [
        ("https://elsewhere.example/home/w/x", 502),
        ("https://localhost@elsewhere.example/home/w/x", 502),
        ("//elsewhere.example/home/w/x", 400),
        ("/home/w/a%2Fb", 400),
        ("/home/w/c/../../x", 400),
        ("/home/w/%2e%2e/x", 400),
        ("/home/w/%2E%2e%2Fx", 400),
        ("/home/w/x?y", 400),
        ("/home/w/x#y", 400),
        ("/home/w/%00", 400),
        ("home/w/x", 400),
        ("", 400),
        ("/nowhere/x", 404),
    ],
)
def test_a_destination_that_is_not_one_of_ours_is_refused(ask: Asker, place: Path, method: str, destination: str, status: int) -> None:
    before = tree(place)
    assert ask(method, "/home/w/f", destination=destination).status == status
    assert tree(place) == before


@pytest.mark.parametrize(
    ("method", "source", "target", "code"),
    [
        ("MOVE", "/home/w/c", "/home/w/c", "same_resource"),
        ("MOVE", "/home/w/c", "/home/w/c/d/new", "same_resource"),
        ("MOVE", "/home/w/c/d", "/home/w/c", "same_resource"),
        ("MOVE", "/home/w/c/g", "/home/w/c", "same_resource"),
        ("COPY", "/home/w/c", "/home/w/c/d/new", "same_resource"),
        ("COPY", "/home/w/c/d", "/home/w/c", "same_resource"),
        ("COPY", "/home/w/f", "/home/w/f", "same_resource"),
        ("MOVE", "/home/w/c", "/home/", "area_root_fixed"),
        ("MOVE", "/home/", "/home/w/new", "area_root_fixed"),
    ],
)
def test_nothing_is_moved_or_copied_onto_what_holds_it_or_into_itself(
    ask: Asker, place: Path, method: str, source: str, target: str, code: str
) -> None:
    before = tree(place)
    answer = ask(method, source, destination=target)
    assert (answer.status, answer.code) == (403, code)
    assert tree(place) == before


# --- names


@pytest.mark.parametrize("method", ["PUT", "MKCOL", "DELETE", "PROPFIND", "LOCK", "UNLOCK", "PROPPATCH", "COPY", "MOVE"])
@pytest.mark.parametrize("dots", ["..", "%2e%2e", "%2E.", ".%2e", "..%2f", "%2e%2e%2f", "..%00", "."])
def test_dots_in_every_encoding_are_400(ask: Asker, place: Path, method: str, dots: str) -> None:
    before = tree(place)
    assert ask(method, f"/home/w/c/{dots}/x", b"", destination="/home/w/y", depth="0").status == 400
    assert tree(place) == before


@pytest.mark.parametrize("name", ["%252e%252e", "..%5c", "...", "%c0%ae%c0%ae", "%uff0e%uff0e", "%ef%bc%8e%ef%bc%8e"])
def test_what_only_looks_like_dots_is_a_name_or_an_error_and_leads_nowhere(ask: Asker, place: Path, name: str) -> None:
    answer = ask("PUT", f"/home/w/c/{name}", b"x")
    assert answer.status in (201, 400)
    assert {path for path in tree(place.parent) if not path.startswith("w/c")} >= {"w", "w/f", "w/report"}
    assert (place / "f").read_bytes() == b"f"


@pytest.mark.parametrize("target", ["/home/w/c", "/home/w/c/", "/home/", "/home/w/new/"])
def test_put_on_a_collection_is_refused(ask: Asker, place: Path, target: str) -> None:
    before = tree(place)
    answer = ask("PUT", target, b"x")
    assert (answer.status, answer.code) == (405, "is_collection")
    assert tree(place) == before
