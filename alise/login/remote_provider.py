"""A provider as it is reached: its metadata and keys, found when they are first needed and kept while it is away.

One provider that is down, slow or talks nonsense costs the logins at that provider and nothing else. Nothing is asked at start. Every
answer is bounded in size and in time; nothing is redirected to another place; a code is never sent twice.
"""

import asyncio
import functools
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import msgspec

from alise.login.metadata import Metadata, read_metadata
from alise.login.provider import Provider
from common.discovery import metadata_urls
from common.https_json import FetchFailed, JsonClient, NotOffered, read_bounded, require_protected
from common.key_cache import FRESH_S, USABLE_S, KeyCache, pause_s

_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


@functools.cache
def _trusting(ca: str) -> ssl.SSLContext:
    """One for all providers of a certificate authority: the system's take a twentieth of a second to read."""
    return ssl.create_default_context(cafile=None if ca == "system" else ca)


class Unreachable(Exception):
    """The provider is of no use at present; the text is for the log."""


class RemoteProvider:
    """To be made inside a running loop. `timeout_s` bounds each request, and how long a person waits for it."""

    def __init__(self, provider: Provider, timeout_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.provider = provider
        tls = _trusting(provider.ca)
        self._client = JsonClient(tls, "", timeout_s)
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            connector=aiohttp.TCPConnector(ssl=tls, limit=16),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: Metadata | None = None
        self._fetched = self._tried = float("-inf")
        self._failures, self._failure = 0, "no answer yet"
        self.keys = KeyCache(self._fetch_keys, timeout_s, clock)

    @property
    def is_well(self) -> bool:
        return self._failures == 0

    async def metadata(self) -> Metadata:
        """Unreachable: it has not answered, and nothing young enough is remembered."""
        async with self._lock:
            if self._clock() - self._fetched > FRESH_S and self._clock() - self._tried >= self._pause_s():
                await self._fetch_metadata()
        if self._known is None or self._clock() - self._fetched > USABLE_S:
            raise Unreachable(self._failure)
        return self._known

    async def exchange(self, metadata: Metadata, form: Mapping[str, str]) -> dict[str, Any]:
        """Redeems a code (RFC 6749, section 4.1.3). Unreachable also when it is refused: what the provider says then is for nobody else."""
        body, headers = dict(form), dict(_HEADERS)
        if metadata.secret_in_body:
            body |= {"client_id": self.provider.client_id, "client_secret": self.provider.client_secret}
        else:  # both are form-encoded first (RFC 6749, section 2.3.1)
            identifier, secret = quote_plus(self.provider.client_id), quote_plus(self.provider.client_secret)
            headers["Authorization"] = aiohttp.encode_basic_auth(identifier, secret)
        return await self._ask("POST", metadata.token_endpoint, headers, body)

    async def userinfo(self, metadata: Metadata, access_token: str) -> dict[str, Any]:
        return await self._ask("GET", metadata.userinfo_endpoint, {**_HEADERS, "Authorization": f"Bearer {access_token}"}, None)

    async def close(self) -> None:
        await self.keys.close()
        await self._client.close()
        await self._session.close()

    def _pause_s(self) -> float:
        return pause_s(self._failures) if self._failures else 0.0

    async def _fetch_metadata(self) -> None:
        self._tried = self._clock()
        try:
            self._known = read_metadata(self.provider.issuer, await self._document())
        except FetchFailed as failed:
            self._failures += 1
            self._failure = str(failed)
        else:
            self._fetched, self._failures = self._clock(), 0

    async def _document(self) -> dict[str, Any]:
        first, *others = metadata_urls(self.provider.issuer)
        try:
            return await self._client.get(first)
        except NotOffered as missing:
            for url in others:
                try:
                    return await self._client.get(url)
                except NotOffered:
                    continue
            raise missing

    async def _fetch_keys(self) -> dict[str, Any]:
        try:
            return await self._client.get((await self.metadata()).jwks_uri)
        except Unreachable as failed:
            raise FetchFailed(str(failed)) from failed

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None) -> dict[str, Any]:
        try:
            require_protected(url)
            async with self._session.request(method, url, headers=headers, data=form, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise Unreachable(f"{url}: status {answer.status}")
                return msgspec.json.decode(await read_bounded(answer.content, url), type=dict[str, Any])
        except TimeoutError as late:
            raise Unreachable(f"{url}: no complete answer in time") from late
        except (aiohttp.ClientError, OSError, ValueError, RecursionError, FetchFailed) as failed:
            raise Unreachable(f"{url}: {type(failed).__name__}") from failed
