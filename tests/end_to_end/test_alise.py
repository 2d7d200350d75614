"""Accounts that people have linked in ALISE: what an unlink, a link and the failure of ALISE mean to callers and their workers."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import StartTeapot
from tests.service import alise_tables, proc
from tests.service.alise_stub import KEY, SITE, AliseStub
from tests.service.ledger import Ledger
from tests.service.site import ALICE, BOB, Site
from tests.service.teapot_process import Teapot, wait_for
from tests.service.tokens import Tokens

PROMISED_S = 5.0
NOBODY = "nobody-yet"


@pytest.fixture(scope="module")
def alise(site: Site) -> Iterator[AliseStub]:
    with AliseStub(site.server_files) as stub:
        yield stub


@pytest.fixture(scope="module")
def key_file(ledger: Ledger) -> Path:
    path = ledger.folder("alise") / "alise.key"
    path.touch(mode=0o600)
    path.write_text(f"{KEY}\n")
    return path


@pytest.fixture(scope="module")
def teapot(start_teapot: StartTeapot, alise: AliseStub, key_file: Path) -> Teapot:
    """Asks ALISE and nobody else."""
    keys = {"url": alise.url, "site": SITE, "api_key_file": key_file, "timeout_s": 1.0, "link_ttl_s": 1.0, "link_ttl_without_feed_s": 1.0}
    return start_teapot({"mapping": {"methods": ["alise"], "file": None, "alise": keys}})


@pytest.fixture(autouse=True)
def linked(alise: AliseStub, site: Site, teapot: Teapot) -> Iterator[None]:
    """Alice and bob, before each test; the authority has heard of it."""
    for subject, account in ((ALICE, site.alice), (BOB, site.bob)):
        alise.link(site.issuer.url, subject, account.name)
    wait_for(lambda: b"teapot_alise_feed 1.0" in teapot.admin("/metrics").body, 20, "ALISE's changes are not heard")
    yield
    for identity in list(alise.links):
        alise.unlink(*identity)


def test_a_linked_identity_writes_as_its_account(teapot: Teapot, as_alice: str, site: Site) -> None:
    assert teapot.request("PUT", "/home/linked", as_alice, b"x").status in (200, 201)
    assert (site.home_of(site.alice) / "linked").owner() == site.alice.name


def test_who_is_not_linked_is_told_the_page_where_to_link(teapot: Teapot, tokens: Tokens, alise: AliseStub) -> None:
    answer = teapot.request("GET", "/home/file", tokens.of(NOBODY))
    page = f"{alise.url}/{SITE}"
    assert (answer.status, answer.code, answer.problem["link_url"]) == (403, "not_linked", page)
    assert answer.headers["link"] == f'<{page}>; rel="help"; title="Link your account"'
    assert teapot.request("HEAD", "/home/file", tokens.of(NOBODY)).headers["link"].startswith(f"<{page}>")


def test_after_an_unlink_the_next_request_is_refused_and_the_running_worker_goes(
    teapot: Teapot, as_alice: str, alise: AliseStub, site: Site
) -> None:
    teapot.request("PUT", "/home/unlinked", as_alice, b"x")
    worker = teapot.worker_of(site.alice)
    alise.unlink(site.issuer.url, ALICE)
    began = time.monotonic()
    wait_for(lambda: teapot.request("GET", "/home/unlinked", as_alice).status == 403, PROMISED_S, "still served")
    wait_for(lambda: not worker.is_running(), PROMISED_S, "its worker is still there")
    assert time.monotonic() - began < PROMISED_S
    assert teapot.request("GET", "/home/unlinked", as_alice).code == "not_linked"


def test_after_an_unlink_others_are_not_disturbed(teapot: Teapot, as_bob: str, as_alice: str, alise: AliseStub, site: Site) -> None:
    teapot.request("PUT", "/home/others", as_bob, b"x")
    worker = teapot.worker_of(site.bob)
    alise.unlink(site.issuer.url, ALICE)
    wait_for(lambda: teapot.request("GET", "/home/others", as_alice).status == 403, PROMISED_S, "still served")
    assert teapot.request("GET", "/home/others", as_bob).body == b"x"
    assert teapot.worker_of(site.bob).pid == worker.pid


def test_who_links_is_let_in_at_once(teapot: Teapot, tokens: Tokens, alise: AliseStub, site: Site) -> None:
    token = tokens.of(NOBODY)
    assert teapot.request("PUT", "/home/at-last", token, b"x").code == "not_linked"
    alise.link(site.issuer.url, NOBODY, site.bob.name)
    wait_for(lambda: teapot.request("PUT", "/home/at-last", token, b"x").status in (200, 201), PROMISED_S, "not let in")


def test_while_alise_is_stopped_who_is_known_goes_on_and_nobody_knows_who_others_are(
    teapot: Teapot, as_alice: str, tokens: Tokens, alise: AliseStub
) -> None:
    teapot.request("PUT", "/home/stopped", as_alice, b"x")
    alise.go_down()
    try:
        time.sleep(1.2)  # what is remembered is not fresh any more
        assert teapot.request("GET", "/home/stopped", as_alice).body == b"x"
        other = teapot.request("GET", "/home/stopped", tokens.of("somebody-new"))
        assert (other.status, other.code) == (503, "mapping_unavailable")
        assert "retry-after" in other.headers and "link" not in other.headers
    finally:
        alise.come_back()
    wait_for(lambda: teapot.request("GET", "/home/x", tokens.of("somebody-new")).status == 403, 20, "ALISE is not asked again")


def test_the_key_is_read_by_root_and_known_to_the_authority_alone(teapot: Teapot, key_file: Path, as_alice: str) -> None:
    teapot.request("GET", "/home/", as_alice)
    assert KEY not in teapot.log()
    needles = [KEY.encode()]
    for role in ("spawner", "worker", "gateway", "observer"):
        for process in teapot.processes(role):
            assert not proc.memory_holds(process.pid, needles), role


def test_a_reload_with_a_key_that_cannot_be_read_changes_nothing(teapot: Teapot, key_file: Path, as_alice: str) -> None:
    authority = teapot.process("authority").pid
    key_file.chmod(0o644)
    try:
        os.kill(teapot.pid, signal.SIGHUP)
        wait_for(lambda: "not renewed" in teapot.log(), 20, "nothing was said")
    finally:
        key_file.chmod(0o600)
    assert teapot.process("authority").pid == authority
    assert teapot.request("OPTIONS", "/home/", as_alice).status == 200


def test_a_new_key_counts_after_a_reload(teapot: Teapot, key_file: Path, alise: AliseStub, tokens: Tokens, site: Site) -> None:
    alise.key = "tp_new"
    key_file.write_text("tp_new\n")
    os.kill(teapot.pid, signal.SIGHUP)
    wait_for(lambda: teapot.request("OPTIONS", "/home/", tokens.of(ALICE)).status == 200, 30, "the new key is not used")
    wait_for(lambda: len(teapot.processes("authority")) == 1, 30, "the old authority is still there")


def test_by_its_database_an_unlink_is_seen_as_soon_though_its_files_may_only_be_read(
    start_teapot: StartTeapot, ledger: Ledger, site: Site, tokens: Tokens
) -> None:
    folder = ledger.folder("alise-database")
    database = alise_tables.Sqlite(folder / "alise.db")
    alise_tables.link(database, site.issuer.url, ALICE, site.alice.name)
    for file in folder.iterdir():
        file.chmod(0o644)
    url = folder / "url"
    url.touch(mode=0o600)
    url.write_text(f"sqlite:///{folder}/alise.db\n")
    keys = {"database_url_file": url, "site": alise_tables.SITE, "link_url": "https://alise.example.org/hpc"}
    teapot = start_teapot({"mapping": {"methods": ["alise"], "file": None, "alise": keys}})
    token = tokens.of(ALICE, aud=teapot.url())
    assert teapot.request("PUT", "/home/by-database", token, b"x").status in (200, 201)
    worker = teapot.worker_of(site.alice)
    alise_tables.unlink(database, site.issuer.url, ALICE)
    wait_for(lambda: teapot.request("GET", "/home/by-database", token).status == 403, PROMISED_S, "still served")
    wait_for(lambda: not worker.is_running(), PROMISED_S, "its worker is still there")
    assert teapot.request("GET", "/home/by-database", token).headers["link"].startswith("<https://alise.example.org/hpc>")
    database.close()
