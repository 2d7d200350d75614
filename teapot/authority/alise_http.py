"""Asks ALISE over HTTPS: one request with the API key, and an answer that is bounded in time and size.

The key is in no log, no repr and no error: what goes wrong is told by its kind, without the URL, which for API v1 holds
the key. Redirects are not followed: the key is for one place.
"""

import ssl
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from common.https_json import FetchFailed, is_loopback, read_bounded
from teapot.authority.alise_answers import AliseUnavailable, Reply, TooLong

_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "teapot"}
_CONNECTIONS = 16


class ApiKey:
    """Shows itself to nobody but ALISE."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def as_header(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._text}"}

    def as_query(self) -> str:
        return f"apikey={quote(self._text, safe='')}"

    def __repr__(self) -> str:
        return "ApiKey(...)"


class _HungUp(AliseUnavailable):
    """Without an answer."""


class Way(NamedTuple):
    """How ALISE is reached. A proxy is not asked for this very machine."""

    url: str
    tls: ssl.SSLContext
    proxy: str
    key: ApiKey


class AliseHttp:
    """To be made inside a running loop."""

    def __init__(self, way: Way) -> None:
        self._way, self._base = way, way.url.rstrip("/")
        self._proxy = None if is_loopback(way.url) else way.proxy or None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=way.tls, limit=_CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )

    async def get(self, path: str, timeout_s: float) -> Reply:
        """path: encoded already. AliseUnavailable when no complete answer comes."""
        return await self._asked("GET", path, timeout_s, self._way.key.as_header())

    async def get_with_key_in_query(self, path: str, timeout_s: float) -> Reply:
        """As the first versions of ALISE want it."""
        return await self._asked("GET", f"{path}?{self._way.key.as_query()}", timeout_s, {})

    async def post(self, path: str, question: Any, timeout_s: float) -> Reply:
        """A question, so that it may be put twice: a connection may be closed just when it is used again."""
        headers = {**self._way.key.as_header(), "Content-Type": "application/json"}
        data = msgspec.json.encode(question)
        try:
            return await self._asked("POST", path, timeout_s, headers, data)
        except _HungUp:
            return await self._asked("POST", path, timeout_s, headers, data)

    async def close(self) -> None:
        await self._session.close()

    async def _asked(self, method: str, path: str, timeout_s: float, headers: dict[str, str], data: bytes | None = None) -> Reply:
        try:
            async with self._session.request(
                method,
                URL(self._base + path, encoded=True),
                headers={**_HEADERS, **headers},
                data=data,
                proxy=self._proxy,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as answer:
                return Reply(answer.status, _json(await read_bounded(answer.content, self._base)))
        except TimeoutError:
            raise AliseUnavailable(f"{self._base}: no complete answer within {timeout_s:g} s") from None
        except (aiohttp.ServerDisconnectedError, ConnectionResetError) as failed:
            raise _HungUp(f"{self._base}: {_told(failed)}") from None
        except FetchFailed as failed:
            raise TooLong(str(failed)) from None
        except (aiohttp.ClientError, OSError, ValueError) as failed:
            raise AliseUnavailable(f"{self._base}: {_told(failed)}") from None


def _json(document: bytes) -> Any:
    """None for what is none: an error page, half a document."""
    try:
        return msgspec.json.decode(document)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _told(failed: Exception) -> str:
    """Only errors of the connection tell more than their kind: others may quote the URL."""
    return f"{type(failed).__name__} {failed}" if isinstance(failed, OSError) else type(failed).__name__
