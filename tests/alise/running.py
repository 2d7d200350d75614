"""ALISE's pages served over TLS on a loopback port, and a browser without a screen: a cookie jar that fills in forms."""

import html
import json
import re
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp import web
from yarl import URL

from alise.assembly import Running, assembled
from alise.configuration import Api, Configuration, Server
from alise.configuration import Provider as ConfiguredProvider
from alise.login.provider import Provider
from alise.serve import make_runner
from alise.storage.database import open_engine
from alise.web.service import Service
from teapot.demo.certificates import ServerFiles
from tests.alise.providers.made_provider import MadeProvider

_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')
_REFRESH = re.compile(r'content="0; url=([^"]+)"')


@dataclass
class Alise:
    url: str
    ca: Path
    running: Running

    @property
    def service(self) -> Service:
        return self.running.service

    async def all_links(self) -> list[tuple[str, str]]:
        """(username, subject) of what is linked, for tests to look at."""
        columns = "username, subject FROM service_link"
        async with self.running.engine.connect() as connection:
            return [(row[0], row[1]) for row in await connection.exec_driver_sql(f"SELECT {columns} ORDER BY username, subject")]

    async def run_sql(self, statement: str) -> None:
        async with self.running.engine.begin() as connection:
            await connection.exec_driver_sql(statement)


def configuration(port: int, providers: Iterable[Provider], **settings: Any) -> Configuration:
    """settings: of [server], `api`, and `administrators`: provider to (claim, values)."""
    api = settings.pop("api", Api())
    administrators = settings.pop("administrators", {})
    about = {"operator": "Example Computing Centre", "contact": "help@example.org", "logins_per_minute": 1000} | settings
    server = Server(public_url=f"https://localhost:{port}", **about)
    return Configuration(server=server, api=api, provider=tuple(_configured(each, administrators.get(each.name)) for each in providers))


def _configured(each: Provider, administrators: tuple[str, tuple[str, ...]] | None) -> ConfiguredProvider:
    claim, values = administrators or ("", ())
    return ConfiguredProvider(
        name=each.name,
        issuer=each.issuer,
        client_id=each.client_id,
        client_secret_file="/not/read",
        internal=each.internal,
        title=each.title,
        username_claim=each.username_claim,
        scopes=each.scopes,
        ca="" if each.ca == "system" else each.ca,
        fresh_by=each.fresh_by,
        admin_claim=claim,
        admin_values=values,
    )


@asynccontextmanager
async def alise(
    folder: Path, port: int, providers: Sequence[Provider], files: ServerFiles, ca: Path, database_url: str = "", **settings: Any
) -> AsyncIterator[Alise]:
    described = configuration(port, providers, **settings)
    async with AsyncExitStack() as stack:
        engine = open_engine(database_url or f"sqlite+aiosqlite:///{folder}/alise.db")
        stack.push_async_callback(engine.dispose)
        secrets = {each.name: each.client_secret for each in providers}
        running = await stack.enter_async_context(assembled(described, engine, secrets))
        runner = make_runner(running, 0.2)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(files.certificate, files.key)
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
        yield Alise(described.server.public_url, ca, running)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def form_token(self) -> str:
        return self.hidden["form_token"]

    @property
    def hidden(self) -> dict[str, str]:
        """What its forms send back."""
        found = {name: html.unescape(value) for name, value in _HIDDEN.findall(self.text)}
        assert found, self.text
        return found

    @property
    def leads_to(self) -> str:
        found = _REFRESH.search(self.text)
        assert found, self.text
        return html.unescape(found[1])


class Client:
    """A service: it sends what it is told, byte for byte."""

    def __init__(self, alise: Any) -> None:
        """alise: has `url` and `ca`."""
        self.alise = alise
        tls = ssl.create_default_context(cafile=alise.ca)
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls), cookie_jar=aiohttp.DummyCookieJar())

    async def get(self, path: str, key: str = "", method: str = "GET", **asked: Any) -> Answer:
        return await self._ask(method, path, key, **asked)

    async def post(self, path: str, document: Any, key: str = "", **asked: Any) -> Answer:
        return await self._ask("POST", path, key, json=document, **asked)

    async def _ask(self, method: str, path: str, key: str, **asked: Any) -> Answer:
        headers = asked.pop("headers", {}) | ({"Authorization": f"Bearer {key}"} if key else {})
        async with self.http.request(method, URL(self.alise.url + path, encoded=True), headers=headers, **asked) as answer:
            return Answer(answer.status, answer.headers, await answer.text())


class Browser:
    """One person's: cookies of its own. It follows no redirect by itself."""

    def __init__(self, alise: Any) -> None:
        """alise: has `url` and `ca`."""
        self.alise = alise
        tls = ssl.create_default_context(cafile=alise.ca)
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls), cookie_jar=aiohttp.CookieJar())

    async def get(self, address: str, **asked: Any) -> Answer:
        return await self._ask("GET", address, **asked)

    async def post(
        self, address: str, data: dict[str, str] | None = None, *, origin: str = "", page: str | Answer = "", **asked: Any
    ) -> Answer:
        """As a browser does: from the page that has the form; a page that was opened before stays as it was."""
        opened = page if isinstance(page, Answer) else await self.get(page or address)
        headers = {"Origin": origin or self.alise.url, "Sec-Fetch-Site": "cross-site" if origin else "same-origin"}
        return await self._ask("POST", address, data=opened.hidden | (data or {}), headers=headers, **asked)

    @property
    def cookie(self) -> str:
        return next((each.value for each in self.http.cookie_jar if each.key == "__Host-alise"), "")

    def take_cookie(self, value: str) -> None:
        self.http.cookie_jar.update_cookies({"__Host-alise": value}, aiohttp.client.URL(self.alise.url))

    async def log_in(self, made: MadeProvider, site: str = "site", **claims: Any) -> Answer:
        handed_over = await self.post(f"/{site}/login", page=f"/{site}")
        return await self.come_back(made, handed_over, site, **claims)

    async def prove(self, made: MadeProvider, provider: str = "ext", **claims: Any) -> Answer:
        """The second login of the wizard, up to the confirmation page."""
        return await self.come_back(made, await self.post(f"/site/link/{provider}"), provider, **claims)

    async def come_back(self, made: MadeProvider, handed_over: Answer, provider: str, **claims: Any) -> Answer:
        return await self.get(self.callback(made, handed_over, provider, **claims))

    def callback(self, made: MadeProvider, handed_over: Answer, provider: str, **claims: Any) -> str:
        """The address that the provider would send this browser to."""
        asked = made.asked(handed_over.leads_to)
        made.claims = dict(claims)
        return f"/oauth2/{provider}/token?{urlencode({'code': 'once', 'state': asked['state']})}"

    async def _ask(self, method: str, address: str, **asked: Any) -> Answer:
        url = address if urlsplit(address).scheme else f"{self.alise.url}{address}"
        async with self.http.request(method, url, allow_redirects=False, **asked) as answer:
            return Answer(answer.status, answer.headers, await answer.text())
