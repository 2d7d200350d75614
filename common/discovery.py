"""Finds an issuer's key set and endpoints: OpenID Connect Discovery 1.0, or RFC 8414 where an issuer offers only that.

Pure but for `key_set` and `endpoint`, which ask. The caller names a configured issuer: nothing that a token says is ever fetched.
"""

from typing import Any

from common.https_json import FetchFailed, JsonClient, NotOffered, is_loopback, split

_OPENID, _OAUTH = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Where an issuer's metadata may be, in the order in which to ask: appended to its URL, or between host and path
    (RFC 8414, section 3).
    """
    parts = split(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    return tuple(dict.fromkeys((f"{origin}{path}{_OPENID}", f"{origin}{_OAUTH}{path}", f"{origin}{_OPENID}{path}")))


def key_set_url(issuer: str, metadata: dict[str, Any]) -> str:
    """The jwks_uri of metadata that name exactly this issuer."""
    return named_url(issuer, metadata, "jwks_uri")


def named_url(issuer: str, metadata: dict[str, Any], name: str) -> str:
    """What metadata that name exactly this issuer (RFC 8414, section 3.3) say under this name. FetchFailed otherwise."""
    named, url = metadata.get("issuer"), metadata.get(name)
    if named != issuer:
        hint = (
            " (only a trailing slash differs: configure it as the issuer writes it)"
            if _slash_differs(named, issuer)
            else ""
        )
        raise FetchFailed(f"{issuer}: its metadata are those of the issuer {str(named)[:200]!r}{hint}")
    if not isinstance(url, str):
        raise FetchFailed(f"{issuer}: its metadata name no {name}")
    if split(issuer).scheme == "https" and split(url).scheme != "https":
        raise FetchFailed(f"{issuer}: its {name} is not https")
    if not is_loopback(issuer) and is_loopback(url):
        raise FetchFailed(f"{issuer}: its {name} is on this machine")
    return url


async def key_set(client: JsonClient, issuer: str) -> dict[str, Any]:
    """The JWKS as the issuer publishes it now. FetchFailed otherwise."""
    return await client.get(key_set_url(issuer, await _metadata(client, issuer)))


async def endpoint(client: JsonClient, issuer: str, name: str) -> str:
    """Where the issuer has it now, as in userinfo_endpoint. FetchFailed otherwise."""
    return named_url(issuer, await _metadata(client, issuer), name)


async def _metadata(client: JsonClient, issuer: str) -> dict[str, Any]:
    first, *others = metadata_urls(issuer)
    try:
        return await client.get(first)
    except NotOffered as missing:
        for url in others:
            try:
                return await client.get(url)
            except NotOffered:
                continue
        raise missing


def _slash_differs(named: object, issuer: str) -> bool:
    return isinstance(named, str) and named.rstrip("/") == issuer.rstrip("/")
