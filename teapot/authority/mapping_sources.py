"""What identities are mapped by: the site's table, ALISE, or both; what of it runs in the background, and who is told
when somebody loses an account.
"""

import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from teapot.authority.alise_database import AliseDatabase
from teapot.authority.alise_feed import AliseFeed
from teapot.authority.alise_http import AliseHttp, ApiKey, Way
from teapot.authority.alise_links import AliseLinks, Coverage
from teapot.authority.alise_service import SILENCE_S, AliseService
from teapot.authority.cannot_serve import CannotServe
from teapot.authority.database_urls import BadDatabaseUrl, opened
from teapot.authority.map_identity import IdentityMap, MappingChange
from teapot.authority.mapping_file import MappingFile
from teapot.channel.start import AuthorityStart
from teapot.configuration import MappingAlise


class MappingSources:
    """To be made inside a running loop. on_change: one who is told, and to whom everything known before is void then."""

    def __init__(self, begin: AuthorityStart, secret: str, tls: ssl.SSLContext) -> None:
        """secret: ALISE's API key, or the URL of its database."""
        self.file = self.alise = None
        self._background: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._closing: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.on_change: Callable[[MappingChange], None] = lambda change: None
        if begin.mapping.file and "file" in begin.mapping.methods:
            self.file = self._table(begin, begin.mapping.file.path)
        if begin.mapping.alise and "alise" in begin.mapping.methods:
            self.alise = self._links(begin, begin.mapping.alise, secret, tls)
        self.identities = IdentityMap(begin.mapping, self.file, self.alise)

    @property
    def ready(self) -> bool:
        """An ALISE that is down keeps nobody out who is known."""
        return self.file is None or self.file.available

    def background(self) -> list[Coroutine[Any, Any, None]]:
        return [work() for work in self._background]

    async def close(self) -> None:
        for close in self._closing:
            await close()

    def _table(self, begin: AuthorityStart, path: str) -> MappingFile:
        file = MappingFile(path, tuple(issuer.url for issuer in begin.issuers), self._lost)
        self._background.append(file.watch)
        return file

    def _links(self, begin: AuthorityStart, settings: MappingAlise, secret: str, tls: ssl.SSLContext) -> AliseLinks:
        source, coverage = _source(begin, settings, secret, tls), Coverage(SILENCE_S)
        links = AliseLinks(source, settings, coverage, self._lost)
        self._background.append(AliseFeed(source, links, coverage, self._lost).follow)
        self._closing += [links.close, source.close]
        return links

    def _lost(self, accounts: frozenset[str]) -> None:
        """Of somebody; with none, something else has changed."""
        self.on_change(self.identities.change(accounts) if accounts else MappingChange())


def _source(begin: AuthorityStart, settings: MappingAlise, secret: str, tls: ssl.SSLContext) -> AliseService | AliseDatabase:
    if settings.url:
        way = Way(settings.url, tls, begin.outbound.proxy, ApiKey(secret))
        return AliseService(AliseHttp(way), settings.site, settings.timeout_s)
    try:
        return AliseDatabase(opened(secret, settings.timeout_s), settings.site)
    except BadDatabaseUrl as wrong:
        raise CannotServe(f"mapping.alise.database_url_file: {wrong}") from None
    except ImportError:
        needs = "PostgreSQL needs the package asyncpg: install teapot-alise[postgresql]"
        raise CannotServe(f"mapping.alise.database_url_file: {needs}") from None
