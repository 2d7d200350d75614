"""What every page handler is given: the configured parts, frozen."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from alise.http.allowance import Allowance
from alise.http.client_address import ClientAddresses, household
from alise.login.provider import Provider
from alise.login.remote_provider import RemoteProvider
from alise.storage.accounts import Accounts
from alise.storage.browser import BrowserStore
from alise.storage.links import Links
from alise.web.pages import Pages

RECENT_S = 300  # the site login, when a link is made or taken away
PROOF_S = 600  # both logins, when a link is confirmed


@dataclass(frozen=True)
class Service:
    public_url: str  # scheme, host and port; addresses are made of it, never of what a request says
    providers: Mapping[str, RemoteProvider]
    sessions: BrowserStore
    accounts: Accounts
    links: Links
    pages: Pages
    addresses: ClientAddresses
    logins: Allowance  # how many a client may begin

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
        """Where people link its identities: a site may have the same issuer for its own accounts."""
        return next((each for each in self.externals() if each.issuer == issuer), None)

    def admit_login(self, request: web.Request) -> float:
        """0, and it is counted; otherwise how many seconds this client has to wait."""
        client = household(self.addresses.of(request))
        wait_s = self.logins.wait_s(client)
        if not wait_s:
            self.logins.spend(client)
        return wait_s

    def redirect_uri(self, remote: RemoteProvider) -> str:
        """The address that is registered at the provider: a different one for each."""
        return f"{self.public_url}/oauth2/{remote.provider.name}/token"


SERVICE: web.AppKey[Service] = web.AppKey("service", Service)
