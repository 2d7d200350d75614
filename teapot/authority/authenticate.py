"""From a bearer token to a verified identity with its capabilities, or to a refusal that says which step failed."""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from common.discovery import Fetcher
from common.signing_keys import SigningKeys
from common.token_verification import BadToken, Expected, VerifiedClaims, verified
from teapot.authority.refusal import Refusal
from teapot.channel.authority_messages import Capability
from teapot.configuration import Issuer, Server

_STORAGE = re.compile(r"storage\.(read|create|modify|stage|poll)")
_ANY_CAPABILITY = ("storage.", "compute.")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Identity(NamedTuple):
    """A verified bearer. Made by Authenticator only."""

    claims: VerifiedClaims
    issuer: Issuer
    capabilities: tuple[Capability, ...]
    has_capabilities: bool


class Authenticator:
    def __init__(self, server: Server, issuers: tuple[Issuer, ...], fetcher: Fetcher) -> None:
        self._issuers = {issuer.url: issuer for issuer in issuers}
        self._expected = {
            issuer.url: Expected(_keys(fetcher, issuer.url), audiences(server, issuer), issuer.audience_required) for issuer in issuers
        }

    async def authenticate(self, unverified: str) -> Identity:
        """Refusal with one of the token_* problems, or issuer_unavailable."""
        try:
            claims = await verified(unverified, self._expected)
        except BadToken as bad:
            code = bad.code if bad.code == "issuer_unavailable" else f"token_{bad.code}"
            raise Refusal(code, bad.detail) from bad
        issuer = self._issuers[claims.issuer]
        if issuer.profile == "identity":
            return Identity(claims, issuer, (), False)
        return Identity(claims, issuer, *wlcg_capabilities(claims))


def _keys(fetcher: Fetcher, url: str) -> SigningKeys:
    return SigningKeys(lambda: fetcher.signing_keys(url))


def audiences(server: Server, issuer: Issuer) -> frozenset[str]:
    """ "auto": the service's names as URL and as host, with and without the port."""
    if issuer.audiences != "auto":
        return frozenset(issuer.audiences)
    url = urlsplit(server.public_url)
    port = url.port or _DEFAULT_PORTS[url.scheme]
    found = set()
    for name in (url.hostname or "", *server.aliases):
        found |= {f"{url.scheme}://{name}:{port}", f"{name}:{port}", name}
        found |= {f"{url.scheme}://{name}"} if port == _DEFAULT_PORTS[url.scheme] or name == url.hostname else set()
    return frozenset(found)


def wlcg_capabilities(claims: VerifiedClaims) -> tuple[tuple[Capability, ...], bool]:
    """The capabilities of a WLCG token (profile 1.x), and whether it has any at all: its groups count only if not."""
    version = claims.claims.get("wlcg.ver")
    if not isinstance(version, str) or not re.fullmatch(r"1\.[0-9]+", version):
        raise Refusal("token_claims", f"wlcg.ver {str(version)[:20]!r}")
    scope = claims.claims.get("scope", "")
    if not isinstance(scope, str) or not scope.isprintable():
        raise Refusal("token_claims", "scope is no text, or holds control characters")
    scopes = scope.split(" ")
    found = tuple(capability for one in scopes if (capability := _capability(one)) is not None)
    return found, any(one.startswith(_ANY_CAPABILITY) for one in scopes)


def _capability(scope: str) -> Capability | None:
    """None: not a capability on storage. A path is required, and must be in its normal form."""
    authorisation, colon, path = scope.partition(":")
    match = _STORAGE.fullmatch(authorisation)
    if not match:
        return None
    if not colon or not path.startswith("/"):
        raise Refusal("token_claims", f"{authorisation} without a path")
    return Capability(match[1], _segments(path), path.endswith("/"))


def _segments(path: str) -> tuple[bytes, ...]:
    pieces = path.removesuffix("/").split("/")[1:] if path != "/" else []
    segments = tuple(unquote_to_bytes(piece) for piece in pieces)
    if any(segment in (b"", b".", b"..") or b"/" in segment or b"\0" in segment or b"%" in segment for segment in segments):
        raise Refusal("token_claims", "a scope's path that is not in its normal form")
    return segments
