"""The requests that FTS sends to a storage before and after a transfer, in their order, with tokens that allow no more than Rucio asks for.

The transfer itself is an upload or a download by whoever is active in it; the FTS server is not run.
"""

import shutil
import time
import zlib
from collections.abc import Callable, Iterator

import pytest

from tests.service.clients import Answer
from tests.service.site import Site
from tests.service.teapot_process import Teapot
from tests.service.tokens import Tokens

SCOPE = "storage.modify:/vo/rucio/ storage.read:/vo/rucio/"
FOLDER, CONTENT = "/vo/rucio/test/ab/cd", b"events of a run\n" * 5000
FILE = FOLDER + "/file"
CLIENT = "3f1c2a5e-fts"  # the subject of a client_credentials token: nobody's account
LIFETIMES_S = [300, 86400]

Ask = Callable[..., Answer]


@pytest.fixture(params=LIFETIMES_S)
def ask(request: pytest.FixtureRequest, teapot: Teapot, tokens: Tokens, site: Site) -> Iterator[Ask]:
    """Each request with a token of its own: FTS renews them in mid-job."""

    def asked(method: str, path: str, body: bytes | None = None, **fields: str) -> Answer:
        token = tokens.of(CLIENT, scope=SCOPE, exp=int(time.time()) + request.param)
        return teapot.request(method, path, token, body, {name.replace("_", "-"): value for name, value in fields.items()})

    yield asked
    shutil.rmtree(site.vo / "rucio", ignore_errors=True)


def status(ask: Ask, path: str) -> Answer:
    return ask("PROPFIND", path, Depth="0")


def make_collections(ask: Ask, path: str) -> list[int]:
    """As gfal2 does: up until something can be made, then down again."""
    answers, missing = [], [path]
    while (answer := ask("MKCOL", missing[-1]).status) == 409:
        answers.append(answer)
        missing.append(missing[-1].rpartition("/")[0])
    answers.append(answer)
    return answers + [ask("MKCOL", one).status for one in reversed(missing[:-1])]


def upload(ask: Ask) -> Answer:
    return ask("PUT", FILE, CONTENT, Expect="100-continue")


def test_as_a_destination(ask: Ask) -> None:
    assert status(ask, FILE).status == 404
    assert status(ask, FOLDER).status == 404
    assert make_collections(ask, FOLDER) == [409, 409, 409, 201, 201, 201, 201]
    assert upload(ask).status == 201
    assert b"<D:getcontentlength>%d</D:getcontentlength>" % len(CONTENT) in status(ask, FILE).body
    assert ask("HEAD", FILE, Want_Digest="ADLER32").headers["digest"] == f"adler32={zlib.adler32(CONTENT):08x}"


def test_what_is_there_already_is_removed_and_its_collection_stays(ask: Ask) -> None:
    make_collections(ask, FOLDER)
    upload(ask)
    assert (status(ask, FILE).status, ask("DELETE", FILE).status) == (207, 204)
    assert (status(ask, FILE).status, status(ask, FOLDER).status) == (404, 207)
    assert upload(ask).status == 201


def test_collections_that_others_make_at_the_same_time_are_no_error(ask: Ask) -> None:
    make_collections(ask, FOLDER)
    assert make_collections(ask, FOLDER) == [405]
    assert ask("MKCOL", "/vo/rucio").status == ask("MKCOL", "/vo").status == 405


def test_as_a_source(ask: Ask) -> None:
    upload(ask)
    assert status(ask, FILE).status == 207
    assert ask("HEAD", FILE, Want_Digest="ADLER32").headers["digest"] == f"adler32={zlib.adler32(CONTENT):08x}"
    answer = ask("GET", FILE, Want_Digest="adler32;q=1,md5;q=0.8")
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["digest"] == f"adler32={zlib.adler32(CONTENT):08x}"


def test_outside_the_scope_nothing_is_told_of_what_there_is(ask: Ask) -> None:
    for path in ("/vo/rucio2/file", "/vo/other", "/vo/other/missing"):
        assert status(ask, path).status == ask("PUT", path, b"x").status == ask("DELETE", path).status == 403


def test_to_be_active_in_a_third_party_copy_is_refused_at_once_and_in_words(ask: Ask) -> None:
    pull = ask("COPY", FILE, Source="https://other.example.org/file", Credential="none")
    assert (pull.status, pull.code) == (501, "not_implemented")
    upload(ask)
    push = ask("COPY", FILE, Destination="https://other.example.org/file", Credential="none")
    assert (push.status, push.code) == (502, "foreign_destination")
