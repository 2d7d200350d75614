"""What every page handler is given: the configured parts, frozen."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from alise.login.provider import Provider
from alise.login.remote_provider import RemoteProvider
from alise.storage.browser import BrowserStore
from alise.web.link_book import LinkBook
from alise.web.pages import Pages

RECENT_S = 300  # the site login, when a link is made or taken away
PROOF_S = 600  # both logins, when a link is confirmed


@dataclass(frozen=True)
class Service:
    public_url: str  # scheme, host and port; addresses are made of it, never of what a request says
    providers: Mapping[str, RemoteProvider]
    sessions: BrowserStore
    links: LinkBook
    pages: Pages

    def site(self, name: str) -> RemoteProvider:
        """404 for what is no site: external providers are none."""
        remote = self.providers.get(name)
        if remote is None or not remote.provider.internal:
            raise web.HTTPNotFound
        return remote

    def external(self, name: str) -> RemoteProvider:
        remote = self.providers.get(name)
        if remote is None or remote.provider.internal:
            raise web.HTTPNotFound
        return remote

    def sites(self) -> list[Provider]:
        return [each.provider for each in self.providers.values() if each.provider.internal]

    def externals(self) -> list[Provider]:
        return [each.provider for each in self.providers.values() if not each.provider.internal]

    def by_issuer(self, issuer: str) -> Provider | None:
        return next((each.provider for each in self.providers.values() if each.provider.issuer == issuer), None)

    def redirect_uri(self, remote: RemoteProvider) -> str:
        """The address that is registered at the provider: a different one for each."""
        return f"{self.public_url}/oauth2/{remote.provider.name}/token"


SERVICE: web.AppKey[Service] = web.AppKey("service", Service)
