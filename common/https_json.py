"""Asks for one JSON object over HTTPS: bounded in time and in size, redirected within one origin only, by no proxy but
the configured one.

The services ask their configured issuers with it. Plain HTTP is for issuers on loopback addresses (demos, tests).
"""

import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote_plus, urljoin, urlsplit

import aiohttp
import msgspec

MAX_DOCUMENT_BYTES = 1 << 20
_MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}
_DEFAULT_PORTS = {"http": 80, "https": 443}


class FetchFailed(Exception):
    """The other side, or what it answered, is of no use at present. The text is for logs."""


class NotOffered(FetchFailed):
    """It answered that there is no such document (4xx)."""


class JsonClient:
    """One HTTP client for all issuers, to be made inside a running loop. Environment proxies, cookies and .netrc are
    ignored.
    """

    def __init__(self, tls: ssl.SSLContext, proxy: str, timeout_s: float) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            connector=aiohttp.TCPConnector(ssl=tls, limit=32, limit_per_host=4),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )
        self._proxy = proxy or None

    async def get(self, url: str, bearer: str = "") -> dict[str, Any]:
        """FetchFailed when no JSON object of at most MAX_DOCUMENT_BYTES comes within the timeout. bearer: a token to be shown there."""
        question = _Question("GET", {**_HEADERS, "Authorization": f"Bearer {bearer}"} if bearer else _HEADERS)
        place = url
        for _ in range(_MAX_REDIRECTS + 1):
            answer = await self._once(place, question)
            if isinstance(answer, bytes):
                return _object(url, answer)
            place = redirected(place, answer)
        raise FetchFailed(f"{url}: more than {_MAX_REDIRECTS} redirects")

    async def post(self, url: str, form: Mapping[str, str], client: tuple[str, str]) -> dict[str, Any]:
        """As get; of a form, as an OAuth client with its secret (RFC 6749, section 2.3.1). No redirect is followed."""
        user, password = (quote_plus(part) for part in client)
        headers = {**_HEADERS, "Authorization": aiohttp.encode_basic_auth(user, password)}
        answer = await self._once(url, _Question("POST", headers, form))
        if isinstance(answer, str):
            raise FetchFailed(f"{url}: a redirect, which is not followed")
        return _object(url, answer)

    async def close(self) -> None:
        await self._session.close()

    async def _once(self, url: str, question: "_Question") -> bytes | str:
        """The document, or where else it is said to be."""
        require_protected(url)
        method, headers, form = question
        try:
            async with self._session.request(
                method, url, headers=headers, data=form, proxy=self._proxy, allow_redirects=False
            ) as answer:
                if answer.status in _REDIRECTS:
                    return answer.headers.get("Location", "")
                if answer.status != 200:
                    raise (NotOffered if 400 <= answer.status < 500 else FetchFailed)(f"{url}: status {answer.status}")
                return await read_bounded(answer.content, url)
        except TimeoutError as late:
            raise FetchFailed(f"{url}: no complete answer in time") from late
        except (aiohttp.ClientError, OSError, ValueError) as failed:
            raise FetchFailed(f"{url}: {type(failed).__name__} {failed}") from failed


class _Question(NamedTuple):
    method: str
    headers: Mapping[str, str]
    form: Mapping[str, str] | None = None


def _object(url: str, document: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(document, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError) as wrong:
        raise FetchFailed(f"{url}: not a JSON object") from wrong


def split(url: str) -> SplitResult:
    """FetchFailed for what is no URL: issuers and redirects name them. A line feed, of which urlsplit says nothing, would get into logs."""
    if not url.isprintable() or " " in url:
        raise FetchFailed(f"{url[:200]!r}: no URL")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  it is checked when it is read
    except ValueError as wrong:
        raise FetchFailed(f"{url[:200]!r}: no URL") from wrong
    return parts


def is_loopback(url: str) -> bool:
    return split(url).hostname in _LOOPBACK


def require_protected(url: str) -> None:
    """https, or http to this very machine; anything else is never asked."""
    scheme = split(url).scheme
    if scheme != "https" and not (scheme == "http" and is_loopback(url)):
        raise FetchFailed(f"{url[:200]!r}: not https")


def redirected(url: str, location: str) -> str:
    """Where a redirect leads, if that is the same scheme, host and port."""
    try:
        target = urljoin(url, location)
    except ValueError as wrong:
        raise FetchFailed(f"{url}: a redirect to {location[:200]!r}, which is no URL") from wrong
    if not location or _origin(target) != _origin(url):
        raise FetchFailed(f"{url}: a redirect to another place ({location[:200]!r}) is not followed")
    return target


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = split(url)
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)


async def read_bounded(content: aiohttp.StreamReader, url: str) -> bytes:
    document = bytearray()
    async for piece in content.iter_any():
        document += piece
        if len(document) > MAX_DOCUMENT_BYTES:
            raise FetchFailed(f"{url}: more than {MAX_DOCUMENT_BYTES} bytes")
    return bytes(document)
