"""ALISE's pages served over TLS on a loopback port, and a browser without a screen: a cookie jar that fills in forms."""

import html
import re
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp import web
from sqlalchemy.ext.asyncio import create_async_engine

from alise.login.provider import Provider
from alise.login.remote_provider import RemoteProvider
from alise.storage import browser
from alise.storage.browser import BrowserStore
from alise.web.pages import Pages
from alise.web.routes import add_to
from alise.web.service import Service
from teapot.demo.certificates import ServerFiles
from tests.alise.link_book import SqliteLinkBook
from tests.alise.providers.made_provider import MadeProvider

_FORM_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')
_REFRESH = re.compile(r'content="0; url=([^"]+)"')


@dataclass
class Alise:
    url: str
    ca: Path
    links: SqliteLinkBook
    service: Service


@asynccontextmanager
async def alise(folder: Path, port: int, providers: Iterable[Provider], files: ServerFiles, ca: Path) -> AsyncIterator[Alise]:
    async with AsyncExitStack() as stack:
        engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/browser.db")
        stack.push_async_callback(engine.dispose)
        async with engine.begin() as connection:
            await connection.run_sync(browser.metadata.create_all)
        remotes = {each.name: RemoteProvider(each, 5.0) for each in providers}
        for remote in remotes.values():
            stack.push_async_callback(remote.close)
        links, url = SqliteLinkBook(folder / "links.db"), f"https://localhost:{port}"
        stack.callback(links.rows.close)
        service = Service(url, remotes, BrowserStore(engine), links, Pages("Example Computing Centre", "help@example.org"))
        app = web.Application()
        add_to(app, service)
        runner = web.AppRunner(app, shutdown_timeout=0.2)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(files.certificate, files.key)
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
        yield Alise(url, ca, links, service)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    text: str

    @property
    def form_token(self) -> str:
        found = _FORM_TOKEN.search(self.text)
        assert found, self.text
        return found[1]

    @property
    def leads_to(self) -> str:
        found = _REFRESH.search(self.text)
        assert found, self.text
        return html.unescape(found[1])


class Browser:
    """One person's: cookies of its own. It follows no redirect by itself."""

    def __init__(self, alise: Alise) -> None:
        self.alise = alise
        tls = ssl.create_default_context(cafile=alise.ca)
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls), cookie_jar=aiohttp.CookieJar())

    async def get(self, address: str, **asked: Any) -> Answer:
        return await self._ask("GET", address, **asked)

    async def post(self, address: str, data: dict[str, str] | None = None, *, origin: str = "", page: str = "", **asked: Any) -> Answer:
        """As a browser does: from the page that has the form."""
        token = (await self.get(page or address)).form_token
        headers = {"Origin": origin or self.alise.url, "Sec-Fetch-Site": "cross-site" if origin else "same-origin"}
        return await self._ask("POST", address, data={"form_token": token} | (data or {}), headers=headers, **asked)

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
