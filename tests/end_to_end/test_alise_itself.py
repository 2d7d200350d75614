"""Teapot and ALISE together, both as they are served: what is done in one is seen in the other."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from alise.login.provider import Provider
from tests.alise.providers.oidc_provider import free_port
from tests.alise.service import AliseProcess
from tests.end_to_end.conftest import StartTeapot
from tests.service.ledger import Ledger
from tests.service.site import ALICE, BOB, Site
from tests.service.teapot_process import Teapot, wait_for
from tests.service.tokens import Tokens

PROMISED_S = 5.0
SITE = "hpc"


class Both(NamedTuple):
    alise: AliseProcess
    teapot: Teapot
    issuer: str

    def link(self, subject: str, username: str) -> str:
        person = ("--site", SITE, "--username", username, "--issuer", self.issuer, "--subject", subject)
        return str(self.alise.run_json("links", "add", *person)["id"])

    def unlink(self, number: str) -> None:
        self.alise.run("links", "revoke", number)

    @contextmanager
    def linked(self, subject: str, username: str) -> Iterator[str]:
        """A link that ends with the test, however the test ends."""
        number = self.link(subject, username)
        try:
            yield number
        finally:
            if any(str(each["id"]) == number for each in self.alise.run_json("links", "list")):
                self.unlink(number)


@pytest.fixture(scope="module")
def alise(ledger: Ledger, site: Site) -> Iterator[AliseProcess]:
    described = [
        Provider(SITE, "https://login.example.org", "alise", "secret", internal=True),
        Provider("iam", site.issuer.url, "alise", "secret"),
    ]
    process = AliseProcess(ledger.folder("alise"), free_port(), described, site.server_files, site.ca)
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def key_file(ledger: Ledger, alise: AliseProcess) -> Path:
    path = ledger.folder("alise-key") / "alise.key"
    path.touch(mode=0o600)
    path.write_text(alise.run_json("keys", "create", "--site", SITE, "--owner", "teapot")["key"])
    return path


@pytest.fixture(scope="module")
def teapot(alise: AliseProcess, key_file: Path, start_teapot: StartTeapot) -> Teapot:
    asked = {"url": alise.url, "site": SITE, "api_key_file": key_file, "timeout_s": 2.0, "no_link_ttl_s": 1.0}
    return start_teapot({"mapping": {"methods": ["alise"], "file": None, "alise": asked}})


@pytest.fixture(scope="module")
def both(alise: AliseProcess, teapot: Teapot, site: Site) -> Both:
    wait_for(lambda: b"teapot_alise_feed 1.0" in teapot.admin("/metrics").body, 20, "ALISE's changes are not heard")
    return Both(alise, teapot, site.issuer.url)


def test_not_linked_then_linked_then_unlinked(both: Both, tokens: Tokens, site: Site) -> None:
    token, page = tokens.of(ALICE), f"{both.alise.url}/{SITE}"
    refused = both.teapot.request("PUT", "/home/together", token, b"x")
    assert (refused.status, refused.code, refused.problem["link_url"]) == (403, "not_linked", page)
    assert f"<{page}>" in refused.headers["link"]
    with both.linked(ALICE, site.alice.name) as number:
        wait_for(lambda: both.teapot.request("PUT", "/home/together", token, b"x").status in (200, 201), PROMISED_S, "not let in")
        assert (site.home_of(site.alice) / "together").owner() == site.alice.name
        worker = both.teapot.worker_of(site.alice)
        both.unlink(number)
        began = time.monotonic()
        wait_for(lambda: both.teapot.request("GET", "/home/together", token).status == 403, PROMISED_S, "still served")
        wait_for(lambda: not worker.is_running(), PROMISED_S, "its worker is still there")
        assert time.monotonic() - began < PROMISED_S


def test_a_suspended_link_is_refused_as_such_and_goes_on_when_it_is_resumed(both: Both, tokens: Tokens, site: Site) -> None:
    token = tokens.of(BOB)
    with both.linked(BOB, site.bob.name) as number:
        wait_for(lambda: both.teapot.request("OPTIONS", "/home/", token).status == 200, PROMISED_S, "not let in")
        both.alise.run("links", "suspend", number)
        wait_for(lambda: both.teapot.request("GET", "/home/", token).status == 403, PROMISED_S, "still served")
        assert both.teapot.request("GET", "/home/", token).code == "link_suspended"
        both.alise.run("links", "resume", number)
        wait_for(lambda: both.teapot.request("OPTIONS", "/home/", token).status == 200, PROMISED_S, "not let in again")


def test_while_alise_is_being_restarted_who_is_linked_goes_on_and_hears_of_an_unlink_afterwards(
    both: Both, tokens: Tokens, site: Site
) -> None:
    token = tokens.of(BOB)
    with both.linked(BOB, site.bob.name) as number:
        wait_for(lambda: both.teapot.request("OPTIONS", "/home/", token).status == 200, PROMISED_S, "not let in")
        both.alise.kill()
        try:
            assert both.teapot.request("OPTIONS", "/home/", token).status == 200
            both.unlink(number)
        finally:
            both.alise.start()
        wait_for(lambda: both.teapot.request("GET", "/home/", token).status == 403, 10, "the unlink was not heard of")


def test_by_its_database_the_same_is_seen_though_alise_does_not_run(
    both: Both, start_teapot: StartTeapot, ledger: Ledger, site: Site, tokens: Tokens
) -> None:
    url = ledger.folder("alise-url") / "url"
    url.touch(mode=0o600)
    folder = both.alise.config.parent
    url.write_text(f"sqlite:///{folder}/alise.db")
    for path in (folder, *folder.glob("alise.db*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    asked = {"database_url_file": url, "site": SITE, "link_url": f"{both.alise.url}/{SITE}", "no_link_ttl_s": 1.0}
    teapot = start_teapot({"mapping": {"methods": ["alise"], "file": None, "alise": asked}})
    token = tokens.of(BOB, aud=teapot.url())
    assert teapot.request("GET", "/home/", token).code == "not_linked"
    with both.linked(BOB, site.bob.name) as number:
        wait_for(lambda: teapot.request("OPTIONS", "/home/", token).status == 200, PROMISED_S, "not let in")
        both.unlink(number)
        wait_for(lambda: teapot.request("GET", "/home/", token).status == 403, PROMISED_S, "still served")
