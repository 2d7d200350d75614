"""`alise serve` as a process: it starts when nobody else is there, it ends in order, and being killed leaves nothing half done."""

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from alise.login.provider import Provider
from teapot.demo.certificates import CertificateAuthority, ServerFiles
from tests.alise.providers.made_provider import MadeProvider, made_provider
from tests.alise.providers.oidc_provider import free_port
from tests.alise.running import Browser, Client
from tests.alise.service import AliseProcess

ALICE = {"sub": "uid-of-alice", "preferred_username": "alice", "name": "Alice Archer"}


class Stage(NamedTuple):
    alise: AliseProcess
    site: MadeProvider
    ext: MadeProvider
    database: Path
    browsers: AsyncExitStack

    async def logged_in(self, name: str = "alice") -> Browser:
        browser = Browser(self.alise)
        self.browsers.push_async_callback(browser.http.close)
        person = ALICE if name == "alice" else {"sub": f"uid-of-{name}", "preferred_username": name}
        assert (await browser.log_in(self.site, **person)).status == 303
        return browser

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(self.database)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()


@pytest.fixture
async def stage(tmp_path: Path, server_files: ServerFiles, ca: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        site, ext = [await stack.enter_async_context(made_provider()) for _ in range(2)]
        described = [
            Provider("site", site.issuer, "alise", "secret", internal=True, username_claim="preferred_username"),
            Provider("ext", ext.issuer, "alise", "secret", title="Federation"),
        ]
        alise = AliseProcess(tmp_path, free_port(), described, server_files, ca, log_level="debug")
        stack.callback(alise.kill)
        await asyncio.to_thread(alise.start)
        yield Stage(alise, site, ext, tmp_path / "alise.db", stack)


def test_it_is_ready_within_two_seconds_though_every_provider_is_down(tmp_path: Path, server_files: ServerFiles, ca: Path) -> None:
    described = [Provider(f"p{n}", f"https://127.0.0.1:{free_port()}", "c", "s", internal=not n) for n in range(20)]
    alise = AliseProcess(tmp_path, free_port(), described, server_files, ca)
    alise.start()
    alise.stop()  # the database is there; bytecode is written
    took = []
    for _ in range(3):
        began = time.monotonic()
        alise.start()
        took.append(time.monotonic() - began)
        alise.stop()
    assert min(took) < 2, took


async def test_sigterm_ends_it_at_once_though_a_service_waits_for_changes(stage: Stage) -> None:
    key = stage.alise.run_json("keys", "create", "--site", "site", "--owner", "a service")["key"]
    client = Client(stage.alise)
    stage.browsers.push_async_callback(client.http.close)
    waiting = asyncio.create_task(client.get("/api/v2/sites/site/changes?since=0&wait_s=25", key))
    await asyncio.sleep(0.5)
    began = time.monotonic()
    assert await asyncio.to_thread(stage.alise.stop) == 0
    assert (await waiting).status == 200
    assert time.monotonic() - began < 3


async def test_the_database_and_what_is_beside_it_are_its_accounts_alone(stage: Stage) -> None:
    await stage.logged_in()
    modes = {path.name: path.stat().st_mode & 0o777 for path in stage.database.parent.glob("alise.db*")}
    assert len(modes) >= 2 and set(modes.values()) == {0o600}, modes


async def test_killed_between_the_two_logins_it_goes_on_where_it_was_and_nothing_is_linked_before(stage: Stage) -> None:
    browser = await stage.logged_in()
    handed_over = await browser.post("/site/link/ext")
    stage.alise.kill()
    await asyncio.to_thread(stage.alise.start)
    assert stage.rows("SELECT * FROM link") == []
    assert (await browser.come_back(stage.ext, handed_over, "ext", sub="ada")).headers["Location"] == "/site/confirm"
    stage.alise.kill()
    await asyncio.to_thread(stage.alise.start)
    assert stage.rows("SELECT * FROM link") == []
    assert (await browser.post("/site/confirm", {"decision": "link"})).headers["Location"] == "/site/linked"
    assert stage.rows("SELECT subject FROM service_link") == [("ada",)]


async def test_killed_at_the_commit_a_link_is_there_with_its_record_and_its_change_or_not_at_all(stage: Stage) -> None:
    outcomes = []
    for number in range(8):
        browser = await stage.logged_in(f"user{number}")
        await browser.prove(stage.ext, sub=f"ada{number}")
        page = await browser.get("/site/confirm")
        headers = {"Origin": stage.alise.url, "Sec-Fetch-Site": "same-origin"}
        data = page.hidden | {"decision": "link"}
        asked = asyncio.create_task(browser._ask("POST", "/site/confirm", data=data, headers=headers))
        await asyncio.sleep(random.uniform(0.0, 0.03))
        stage.alise.kill()
        await asyncio.gather(asked, return_exceptions=True)
        await asyncio.to_thread(stage.alise.start)
        links = len(stage.rows(f"SELECT * FROM service_link WHERE subject = 'ada{number}'"))
        records = len(stage.rows(f"SELECT * FROM audit WHERE action = 'linked' AND account = 'user{number}'"))
        changes = len(stage.rows(f"SELECT * FROM service_change WHERE subject = 'ada{number}'"))
        assert links == records == changes, (number, links, records, changes)
        outcomes.append(links)
    assert stage.alise.run_json("audit", "verify")["whole"]
    assert set(outcomes) <= {0, 1}


async def test_a_certificate_is_renewed_by_a_signal(stage: Stage) -> None:
    assert stage.alise.process
    os.kill(stage.alise.process.pid, signal.SIGHUP)
    while "the certificate was read again" not in stage.alise.log():
        await asyncio.sleep(0.05)
    assert stage.alise.is_ready()


def test_a_certificate_whose_key_is_not_there_yet_leaves_the_old_one_in_use(tmp_path: Path, server_files: ServerFiles, ca: Path) -> None:
    files = ServerFiles(tmp_path / "cert.pem", tmp_path / "key.pem")
    for mine, given in zip(files, server_files, strict=True):
        shutil.copy(given, mine)
    described = [Provider("site", "https://site.example.org", "alise", "s", internal=True)]
    alise = AliseProcess(tmp_path, free_port(), described, files, ca).start()
    try:
        assert alise.process
        shutil.copy(CertificateAuthority("another").issue(tmp_path, "another").certificate, files.certificate)
        os.kill(alise.process.pid, signal.SIGHUP)
        deadline = time.monotonic() + 10
        while "the certificate was not renewed" not in alise.log() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "the certificate was not renewed" in alise.log() and alise.is_ready()
    finally:
        alise.stop()


def test_without_tls_the_signal_to_renew_ends_nothing(tmp_path: Path, server_files: ServerFiles, ca: Path) -> None:
    site = Provider("site", "https://127.0.0.1:1", "alise", "secret", internal=True)
    alise = AliseProcess(tmp_path, free_port(), [site], server_files, ca, tls_certificate="", tls_key="")
    alise.url = alise.url.replace("https:", "http:")
    alise.start()
    try:
        assert alise.process
        os.kill(alise.process.pid, signal.SIGHUP)
        time.sleep(0.3)
        assert alise.is_ready()
    finally:
        alise.stop()


BROKEN = {
    "an address that is too long": "GET /api/v1/target/site/mapping/issuer/x/user/{long}?apikey={secret} HTTP/1.1\r\nHost: x\r\n\r\n",
    "a broken header": "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\x01\r\n\r\n",
    "a header that is too long": "GET / HTTP/1.1\r\nHost: x\r\nX-API-Key: {secret}{long}\r\n\r\n",
    "two hosts": "GET /?apikey={secret} HTTP/1.1\r\nHost: {secret}\r\nHost: {secret}\r\n\r\n",
    "no protocol": "{secret}\r\n\r\n",
    "no version": "GET /?apikey={secret} HTTP/{secret}\r\n\r\n",
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_request_that_cannot_be_read_is_400_and_no_word_of_it_is_in_the_log(stage: Stage, case: str) -> None:
    tls = ssl.create_default_context(cafile=stage.alise.ca)
    reader, writer = await asyncio.open_connection("localhost", urlsplit(stage.alise.url).port, ssl=tls)
    writer.write(BROKEN[case].format(secret="hidden-4711", long="x" * 40_000).encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert b" 400 " in answer.split(b"\r\n")[0], answer[:100]
    await asyncio.sleep(0.2)
    assert " 400 " in stage.alise.log() and "hidden-4711" not in stage.alise.log() and "Traceback" not in stage.alise.log()


@pytest.mark.parametrize("word", ["validate_apikey", "validate_%61pikey", "validate_apike%79", "%76alidate_apikey"])
async def test_a_key_in_a_path_is_not_told_however_the_path_is_written(stage: Stage, word: str) -> None:
    assert stage.alise.get(f"/api/v1/target/site/{word}/hidden-4711-and-long-enough")[0] == 200
    await asyncio.sleep(0.1)
    assert "/validate_apikey/" in stage.alise.log() and "hidden-4711" not in stage.alise.log()


async def test_no_secret_gets_into_its_log(stage: Stage) -> None:
    browser = await stage.logged_in()
    await browser.prove(stage.ext, sub="ada")
    key = stage.alise.run_json("keys", "create", "--site", "site", "--owner", "a service")["key"]
    stage.alise.get(f"/api/v1/target/site/mapping/issuer/x/user/y?apikey={key}")
    stage.alise.get(f"/api/v1/target/site/validate_apikey/{key}")
    log = stage.alise.log()
    assert "GET /api/v1/target/site/mapping/issuer/x/user/y 401" in log
    for secret in (key, browser.cookie, "code=once", "state=", "id_token", "uid-of-alice", "Alice Archer"):
        assert secret not in log, secret
