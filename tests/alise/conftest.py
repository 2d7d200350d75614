"""A site, a federation and ALISE between them."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from alise.login.provider import Provider
from alise.storage.administration import Administration, NewLink
from alise.storage.api_keys import ApiKeys, NewKey
from teapot.demo.certificates import ServerFiles
from tests.alise.providers.made_provider import MadeProvider, made_provider
from tests.alise.providers.oidc_provider import free_port
from tests.alise.running import Alise, Browser, Client, alise
from tests.service.ledger import Ledger
from tests.service.postgresql import Postgresql


@pytest.fixture(scope="module")
def postgresql(ledger: Ledger) -> Iterator[Postgresql]:
    with Postgresql(ledger.folder("postgresql")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once in each engine."""
    return _empty_database(request, tmp_path)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def database_url_of_pages(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The same for what is about browsers: what the engine does is tested without them."""
    return _empty_database(request, tmp_path)


def _empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/alise.db"
    server: Postgresql = request.getfixturevalue("postgresql")
    name = f"alise{secrets.token_hex(4)}"
    server.run(f"CREATE DATABASE {name}")
    return server.url().removesuffix("postgres") + name


class Stage(NamedTuple):
    alise: Alise
    site: MadeProvider
    ext: MadeProvider
    other: MadeProvider  # a second external provider
    new_browser: Callable[[], Browser]


@pytest.fixture
async def stage(tmp_path: Path, server_files: ServerFiles, ca: Path, database_url_of_pages: str) -> AsyncIterator[Stage]:
    """Providers whose logins the test makes itself: for what no honest browser does."""
    async with AsyncExitStack() as stack:
        site, ext, other = [await stack.enter_async_context(made_provider()) for _ in range(3)]
        described = [
            Provider("site", site.issuer, "alise", "secret", internal=True, title="Example HPC", username_claim="preferred_username"),
            Provider("ext", ext.issuer, "alise", "secret", title="Federation"),
            Provider("other", other.issuer, "alise", "secret", title="Other"),
        ]
        running = await stack.enter_async_context(alise(tmp_path, free_port(), described, server_files, ca, database_url_of_pages))

        def new_browser() -> Browser:
            browser = Browser(running)
            stack.push_async_callback(browser.http.close)
            return browser

        yield Stage(running, site, ext, other, new_browser)


class Desk(NamedTuple):
    """An ALISE whose providers nobody asks, with a key, and a link: ada@uni.example at ISSUER is alice at hpc."""

    alise: Alise
    client: Client
    key: NewKey
    keys: ApiKeys
    administration: Administration


ISSUER, SITE_ISSUER, GOOGLE = "https://iam.example.org/", "https://site.example.org/realms/hpc", "https://accounts.google.com"
ADA = "ada@uni.example"


@pytest.fixture
async def desk(tmp_path: Path, server_files: ServerFiles, ca: Path, database_url: str) -> AsyncIterator[Desk]:
    described = [
        Provider("hpc", SITE_ISSUER, "alise", "secret", internal=True),
        Provider("lab", f"{SITE_ISSUER}-lab", "alise", "secret", internal=True),
        Provider("iam", ISSUER, "alise", "secret"),
        Provider("google", GOOGLE, "alise", "secret"),
    ]
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(alise(tmp_path, free_port(), described, server_files, ca, database_url))
        client = Client(running)
        stack.push_async_callback(client.http.close)
        keys = ApiKeys(running.running.engine, 365)
        administration = Administration(running.running.keeping, "a test")
        await administration.add(NewLink("hpc", "alice", ISSUER, ADA), SITE_ISSUER)
        yield Desk(running, client, await keys.create("hpc", "teapot", "a test"), keys, administration)
