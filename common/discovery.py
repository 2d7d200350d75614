"""Fetches an issuer's metadata and keys: only from configured URLs, bounded in time and size, never over a redirect."""

import ssl
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

MAX_DOCUMENT_BYTES = 1 << 20
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class FetchFailed(Exception):
    """The issuer, or what it answered, is of no use at present."""


class Fetcher:
    """One HTTP client for all issuers. Environment proxies are ignored."""

    def __init__(self, tls: ssl.SSLContext, proxy: str, timeout_s: float) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout_s), connector=aiohttp.TCPConnector(ssl=tls, limit=16), trust_env=False
        )
        self._proxy = proxy or None

    async def json(self, url: str) -> dict[str, Any]:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise FetchFailed(f"{url}: not https")
        try:
            async with self._session.get(url, proxy=self._proxy, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise FetchFailed(f"{url}: status {answer.status}")
                document = await _bounded(answer.content, url)
        except (aiohttp.ClientError, TimeoutError, OSError) as failed:
            raise FetchFailed(f"{url}: {type(failed).__name__} {failed}") from failed
        try:
            return msgspec.json.decode(document, type=dict[str, Any])
        except msgspec.MsgspecError as wrong:
            raise FetchFailed(f"{url}: not a JSON object") from wrong

    async def signing_keys(self, issuer: str) -> dict[str, Any]:
        """The issuer's JWKS, by OpenID Connect discovery; its metadata must name exactly this issuer."""
        metadata = await self.json(issuer.rstrip("/") + "/.well-known/openid-configuration")
        if metadata.get("issuer") != issuer:
            raise FetchFailed(f"{issuer}: its metadata is of the issuer {str(metadata.get('issuer'))[:200]!r}")
        where = metadata.get("jwks_uri")
        if not isinstance(where, str):
            raise FetchFailed(f"{issuer}: its metadata names no jwks_uri")
        return await self.json(where)

    async def close(self) -> None:
        await self._session.close()


async def _bounded(content: aiohttp.StreamReader, url: str) -> bytes:
    document = b""
    async for piece in content.iter_any():
        document += piece
        if len(document) > MAX_DOCUMENT_BYTES:
            raise FetchFailed(f"{url}: more than {MAX_DOCUMENT_BYTES} bytes")
    return document
