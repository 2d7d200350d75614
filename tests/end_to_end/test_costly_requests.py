"""What one small request may cost, whoever sends it: here it comes without a token, from anybody who can read the public area."""

import contextlib
import time

import pytest

from tests.service.accounts import Account
from tests.service.site import Site
from tests.service.teapot_process import Teapot, wait_for

PROMPT_S = 5.0
DEEP = "/public" + "/a" * 2000
CONDITIONS = {
    "many conditions": "(" + "Not <a:b>" * 3400 + ")",
    "as many as are read": "(" + "Not <a:b>" * 250 + ")",
    "many lists": "(<a:b>)" * 64,
    "many resources": " ".join(f"</public{'/a' * depth}> (<a:b>)" for depth in range(1993, 2000)),
}


@pytest.mark.parametrize("kind", CONDITIONS)
def test_an_if_header_about_a_deep_path_is_answered_promptly(teapot: Teapot, kind: str) -> None:
    """Each resource that it names is looked at once, however many conditions there are."""
    began = time.monotonic()
    answer = teapot.request("PROPFIND", DEEP, headers={"If": CONDITIONS[kind], "Depth": "0"}, timeout_s=60)
    assert answer.status in (400, 404, 412)
    assert time.monotonic() - began < PROMPT_S


# --- a namespace that is written once, and meant by every name

NAMES = b" ".join(b"<p:a%x/>" % number for number in range(250))
LONG = b'xmlns:D="DAV:" xmlns:p="urn:%b"' % (b"x" * 60_000)
REPEATING = {
    "PROPFIND": b"<D:propfind %b><D:prop>%b</D:prop></D:propfind>" % (LONG, NAMES),
    "PROPPATCH": b"<D:propertyupdate %b><D:set><D:prop>%b</D:prop></D:set></D:propertyupdate>" % (LONG, NAMES),
    "LOCK": b"<D:lockinfo %b><D:owner>%b</D:owner></D:lockinfo>" % (LONG, NAMES),
}


@pytest.mark.parametrize("method", REPEATING)
def test_a_long_namespace_of_many_names_is_refused(teapot: Teapot, as_alice: str, method: str) -> None:
    """An answer would repeat it for each name of each member: thousands of times what was sent."""
    answer = teapot.request(method, "/home/", as_alice, REPEATING[method], headers={"Depth": "0"})
    assert (answer.status, answer.code) == (400, "bad_xml")


# --- digests that take hours


def test_who_asks_for_digests_of_a_huge_file_keeps_nobody_else_waiting_and_nothing_is_computed_for_who_has_left(
    teapot: Teapot, site: Site, visitor: Account
) -> None:
    huge = site.public / "huge"
    with huge.open("wb") as file:
        file.truncate(2 << 40)
    huge.chmod(0o644)
    with contextlib.ExitStack() as clients:
        for algorithm in ("md5", "adler32") * 25:
            client = clients.enter_context(teapot.connect())
            client.sendall(b"HEAD /public/huge HTTP/1.1\r\nHost: x\r\nWant-Digest: %b\r\n\r\n" % algorithm.encode())
        time.sleep(1)
        began = time.monotonic()
        assert teapot.request("GET", "/public/").status == 200
        assert time.monotonic() - began < PROMPT_S
    worker = teapot.worker_of(visitor)
    wait_for(lambda: worker.cpu_percent(0.5) < 10, 20, "it computes on")
    huge.unlink()
