"""The service put together: configuration, secrets and an engine make an application with its background work. Listens nowhere."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine

from alise import health
from alise.configuration import Configuration
from alise.configuration import Provider as ConfiguredProvider
from alise.http.allowance import Allowance
from alise.http.client_address import ClientAddresses
from alise.login.provider import Provider
from alise.login.remote_provider import RemoteProvider
from alise.rest import routes as rest_routes
from alise.rest.api import Api
from alise.rest.bearer_tokens import Administrators, BearerTokens
from alise.rest.change_feed import ChangeFeed
from alise.rest.key_desk import KeyDesk
from alise.storage import database
from alise.storage.accounts import Accounts, Keeping
from alise.storage.api_keys import ApiKeys
from alise.storage.browser import BrowserStore
from alise.storage.catalogue import settle
from alise.storage.links import Links
from alise.storage.lookup import Lookup
from alise.storage.rows import open_rows
from alise.storage.usage import Usage
from alise.storage.usernames import policies
from alise.web import routes as web_routes
from alise.web.pages import Pages
from alise.web.service import Service

MOST_BODY_BYTES = 1 << 20
PROVIDER_TIMEOUT_S = 10.0

Secrets = Mapping[str, str]  # by the name of the provider


@dataclass(frozen=True)
class Running:
    """For whoever serves it, and for tests to look into."""

    app: web.Application
    service: Service
    addresses: ClientAddresses
    engine: AsyncEngine
    keeping: Keeping
    usage: Usage


@asynccontextmanager
async def assembled(configuration: Configuration, engine: AsyncEngine, secrets: Secrets) -> AsyncIterator[Running]:
    """The database is brought up to this version; providers are asked when somebody needs them. The engine stays the caller's."""
    await database.migrate(engine)
    catalogue = await settle(engine, configuration.site_names(), configuration.issuers())
    async with AsyncExitStack() as stack:
        remotes = await _remotes(configuration, secrets, stack)
        rows = open_rows(engine.url)
        stack.push_async_callback(rows.close)
        lookup, usage = Lookup(rows, catalogue), Usage(engine)
        feed = ChangeFeed(lookup)
        addresses = ClientAddresses(configuration.server.trusted_proxies)
        keeping = Keeping(engine, catalogue, policies(configuration.sites()))
        service = _service(configuration, keeping, remotes, addresses)
        api = _api(configuration, engine, remotes, addresses, lookup, usage, feed)
        app = web.Application(client_max_size=MOST_BODY_BYTES)
        health.add_to(app, lookup, remotes.values())
        rest_routes.add_to(app, api, with_v1=configuration.api.v1)
        web_routes.add_to(app, service)

        async def stop_waiting(_: web.Application) -> None:
            feed.close()

        app.on_shutdown.append(stop_waiting)
        stack.push_async_callback(usage.write)
        for work in (usage.write_from_time_to_time(), feed.look_from_time_to_time()):
            stack.push_async_callback(_end, asyncio.create_task(work))
        yield Running(app, service, addresses, engine, keeping, usage)


def _service(
    configuration: Configuration, keeping: Keeping, remotes: Mapping[str, RemoteProvider], addresses: ClientAddresses
) -> Service:
    server, accounts = configuration.server, Accounts(keeping)
    public_url = server.public_url.rstrip("/")
    return Service(
        public_url,
        remotes,
        BrowserStore(keeping.engine),
        accounts,
        Links(keeping, accounts),
        Pages(server.operator or urlsplit(public_url).hostname or "", server.contact),
        addresses,
        Allowance(server.logins_per_minute),
    )


def _api(
    configuration: Configuration,
    engine: AsyncEngine,
    remotes: Mapping[str, RemoteProvider],
    addresses: ClientAddresses,
    lookup: Lookup,
    usage: Usage,
    feed: ChangeFeed,
) -> Api:
    public_url = configuration.server.public_url.rstrip("/")
    administrators = {
        each.issuer: Administrators(each.admin_claim, frozenset(each.admin_values)) for each in configuration.provider if each.admin_claim
    }
    return Api(
        public_url=public_url,
        providers=[remote.provider for remote in remotes.values()],
        lookup=lookup,
        usage=usage,
        keys=KeyDesk(lookup, usage, addresses, Allowance(configuration.server.failures_per_minute)),
        api_keys=ApiKeys(engine, configuration.api.key_lifetime_days),
        tokens=BearerTokens(public_url, remotes.values(), administrators),
        feed=feed,
        v1_all_identities=configuration.api.v1_all_identities,
    )


async def _remotes(configuration: Configuration, secrets: Secrets, stack: AsyncExitStack) -> dict[str, RemoteProvider]:
    remotes = {}
    for each in configuration.provider:
        remote = RemoteProvider(_provider(each, secrets[each.name], configuration.trust.ca), PROVIDER_TIMEOUT_S)
        stack.push_async_callback(remote.close)
        remotes[each.name] = remote
    return remotes


def _provider(each: ConfiguredProvider, secret: str, ca: str) -> Provider:
    return Provider(
        name=each.name,
        issuer=each.issuer,
        client_id=each.client_id,
        client_secret=secret,
        internal=each.internal,
        title=each.title,
        scopes=each.scopes,
        username_claim=each.username_claim,
        ca=each.ca or ca,
        fresh_by=each.fresh_by,
    )


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
