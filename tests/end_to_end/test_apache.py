"""Random WebDAV, asked of Teapot and of Apache's mod_dav alike: what differs is in one table, with its reason, or the test fails."""

import http.client
import os
import re
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from teapot.demo.issuer import Issuer
from teapot.worker.http_dates import http_date
from tests.end_to_end.conftest import StartTeapot
from tests.end_to_end.random_webdav import AT_FIRST, FIRST_SECOND, SELDOM, Step, sequence
from tests.end_to_end.webdav_differences import TABLE, Case, Row, Said
from tests.service.apache import Apache
from tests.service.ledger import Ledger
from tests.service.site import ALICE, Site
from tests.service.tokens import Tokens
from tests.worker_files.conftest import tree

STEPS = 30
SHORT_S, LONG_S = 30.0, 600.0
_SYMBOL = re.compile(r"\{(\w+):([^}]*)\}")
Tree = dict[str, bytes | None]


class Peer:
    """One of the two servers, with one connection that stays open."""

    def __init__(self, connection: http.client.HTTPConnection, base: str, folder: Path, owner: tuple[int, int], token: str = "") -> None:
        self._connection, self._base, self._folder, self._owner = connection, base, folder, owner
        self._fields = {"Authorization": f"Bearer {token}"} if token else {}
        self._locks: dict[int, str] = {}
        self._now = ""

    def begin(self, name: str) -> None:
        """A new collection for a new sequence; the locks of the old one are nobody's any more."""
        self._now, self._locks = name, {}
        for path, content in {".": None, **AT_FIRST}.items():
            if content is None:
                (self.place / path).mkdir()
            else:
                (self.place / path).write_bytes(content)
            os.chown(self.place / path, *self._owner)
        self.age(FIRST_SECOND - 1)

    @property
    def place(self) -> Path:
        return self._folder / self._now

    def ask(self, step: Step) -> Said:
        fields = {name: _SYMBOL.sub(lambda symbol: self._value(symbol[1], symbol[2]), value) for name, value in step.fields.items()}
        answer, content = self._exchange(step.method, f"{self._base}/{self._now}/{step.name}", step.body, fields)
        if step.lock >= 0 and (token := answer.getheader("Lock-Token")):
            self._locks[step.lock] = token.strip("<>")
        return _said(step, answer, content, f"{self._base}/{self._now}")

    def tree(self) -> Tree:
        return {name: content for name, content in tree(self.place).items() if ".DAV" not in name.split("/")}

    def age(self, second: int) -> None:
        """Whatever was changed just now was changed in this second: versions are strong then, and dates the same on both sides."""
        for above, _, files in os.walk(self.place):
            for path in (Path(above), *(Path(above, name) for name in files)):
                if path.stat().st_mtime > FIRST_SECOND + 1_000_000:
                    os.utime(path, (second, second))

    def _value(self, kind: str, what: str) -> str:
        if kind == "etag":
            answer, _ = self._exchange("HEAD", f"{self._base}/{self._now}/{what}", None, {})
            return answer.getheader("ETag") or '"none"'
        if kind == "to":
            scheme = "https" if isinstance(self._connection, http.client.HTTPSConnection) else "http"
            return f"{scheme}://localhost:{self._connection.port}{self._base}/{self._now}/{what}"
        if kind == "token":
            return self._locks.get(int(what), "opaquelocktoken:00000000-0000-0000-0000-000000000000")
        return http_date(int(what))

    def _exchange(self, method: str, target: str, body: bytes | None, fields: dict[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
        length = {"Content-Length": str(len(body))} if body is not None else {}
        self._connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in (self._fields | fields | length).items():
            self._connection.putheader(name, value)
        self._connection.endheaders(body)
        answer = self._connection.getresponse()
        return answer, answer.read()


def _said(step: Step, answer: http.client.HTTPResponse, content: bytes, base: str) -> Said:
    told: object = None
    if step.method in ("GET", "HEAD") and answer.status in (200, 206) and not _is_listing(answer):
        fields = ("Last-Modified", "Accept-Ranges") + (("Content-Length",) if answer.status == 200 else ())
        told = _bodies(answer, content), [answer.getheader(name) for name in fields]
    elif answer.status == 207 and step.method == "PROPFIND":
        told = _resources(content, base)
    return Said(answer.status, told, {name.lower(): value for name, value in answer.getheaders()})


def _is_listing(answer: http.client.HTTPResponse) -> bool:
    return (answer.getheader("Content-Type") or "").startswith("text/html")


def _bodies(answer: http.client.HTTPResponse, content: bytes) -> object:
    """Of a multipart body the parts: its boundary is anybody's choice."""
    kind = answer.getheader("Content-Type") or ""
    if kind.startswith("multipart/byteranges"):
        boundary = kind.partition("boundary=")[2].strip('"').encode()
        pieces = content.split(b"--" + boundary)[1:-1]
        return sorted((re.findall(rb"(?i)content-range: (.*?)\r", piece)[0], piece.partition(b"\r\n\r\n")[2].strip()) for piece in pieces)
    return answer.getheader("Content-Range"), content


def _resources(content: bytes, base: str) -> object:
    """Which there are, which of them are collections, how long the others are and when they were changed."""
    found = {}
    for one in ElementTree.fromstring(content):
        href = (one.findtext("{DAV:}href") or "").removeprefix(base).strip("/")
        collection = one.find(".//{DAV:}collection") is not None
        size, changed = (one.findtext(f".//{{DAV:}}{name}") for name in ("getcontentlength", "getlastmodified"))
        found[href] = "collection" if collection else (size, changed)
    return found


def _replaced_from_above(case: Case) -> set[str]:
    """Members of a collection in whose place something was moved or copied: another one may have the same name."""
    if not case.step.destination or case.teapot.status not in (201, 204):
        return set()
    above = unquote(case.step.destination.strip("/")) + "/"
    return {name for name in case.before if name.startswith(above)}


class Difference(NamedTuple):
    title: str
    before: list[Step]
    case: Case

    def __str__(self) -> str:
        case = self.case
        done = "\n".join(f"  {step}" for step in self.before)
        return f"{self.title}, after\n{done}\n{case.step}\nApache: {case.apache}\nTeapot: {case.teapot}\nbefore: {case.before}"


class Comparison:
    def __init__(self, apache: Peer, teapot: Peer) -> None:
        self._apache, self._teapot = apache, teapot
        self.steps = 0
        self._gone: set[str] = set()
        self.explained: Counter[str] = Counter()
        self.unexplained: list[Difference] = []

    def run(self, seed: int) -> None:
        self.run_steps(f"seed {seed}", sequence(seed, STEPS))

    def run_steps(self, title: str, steps: Iterable[Step]) -> None:
        name = secrets.token_hex(6)
        before: list[Step] = []
        self._gone = set()
        for peer in (self._apache, self._teapot):
            peer.begin(name)
        for step in steps:
            self.steps += 1
            if not self._same(title, before, step):
                return
            before.append(step)

    def _same(self, title: str, before: list[Step], step: Step) -> bool:
        """False: from here on the two have different files or locks, and there is nothing to compare."""
        files = self._teapot.tree()
        case = Case(step, self._apache.ask(step), self._teapot.ask(step), files, frozenset(self._gone))
        after = self._teapot.tree()
        same_files = self._apache.tree() == after
        self._gone |= files.keys() - after.keys() | _replaced_from_above(case)
        row = None
        if case.apache.differs(case.teapot) or not same_files:
            row = next((row for row in TABLE if row.explains(case) and (same_files or row.parts)), None)
            if row is None:
                self.unexplained.append(Difference(title, list(before), case))
                return False
            self.explained[row.what] += 1
        for peer in (self._apache, self._teapot):
            peer.age(FIRST_SECOND + len(before))
        return not (row and row.parts)


@pytest.fixture(scope="module")
def apache(ledger: Ledger) -> Iterator[Apache]:
    server = Apache(ledger.folder("apache"))
    yield server
    server.stop()


@pytest.fixture
def comparison(apache: Apache, start_teapot: StartTeapot, site: Site, issuer: Issuer) -> Iterator[Comparison]:
    folder = site.alice.home / "differential"
    site.alice.run("mkdir", str(folder))
    teapot = start_teapot({"storage_area": [{"name": "d", "path": "/d", "root": "{home}/differential", "create_parents": False}]})
    token = Tokens(issuer, teapot.url()).of(ALICE)
    ours = http.client.HTTPSConnection("localhost", teapot.port, context=teapot.tls, timeout=30)
    theirs = http.client.HTTPConnection("localhost", apache.port, timeout=30)
    peers = Peer(theirs, "", apache.folder, (apache.uid, apache.gid)), Peer(ours, "/d", folder, (site.alice.uid, site.alice.gid), token)
    yield Comparison(*peers)
    ours.close()
    theirs.close()


def test_random_sequences_are_answered_as_apache_does_or_as_the_table_explains(comparison: Comparison) -> None:
    """The same ones each time, as many as go into half a minute."""
    began = time.monotonic()
    for seed in range(400):
        if time.monotonic() - began > SHORT_S:
            break
        comparison.run(seed)
        assert not comparison.unexplained, "\n\n".join(map(str, comparison.unexplained))
    assert comparison.steps > 500, "too few to say anything"


@pytest.mark.long
@pytest.mark.timeout(LONG_S + 120)
def test_many_more_of_them(comparison: Comparison) -> None:
    """New ones each time; a failure names its seed. No row of the table is there in vain."""
    for number, steps in enumerate(SELDOM):
        comparison.run_steps(f"SELDOM[{number}]", steps)
    began = time.monotonic()
    while time.monotonic() - began < LONG_S and not comparison.unexplained:
        comparison.run(secrets.randbelow(1 << 40))
    assert not comparison.unexplained, "\n\n".join(map(str, comparison.unexplained))
    unused = {row.what for row in TABLE} - comparison.explained.keys()
    assert not unused, f"explained, but never met: {unused}"


def test_each_row_of_the_table_says_why() -> None:
    assert all(isinstance(row, Row) and len(row.why) > 20 for row in TABLE)
    assert len({row.what for row in TABLE}) == len(TABLE)
