"""People at the API: access tokens of configured providers, meant for ALISE (RFC 9068). For what v1 offers to people, and nothing else."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aiohttp import web

from alise.login.provider import Provider
from alise.login.remote_provider import RemoteProvider
from common.token_verification import BadToken, Expected, VerifiedClaims, verified


class Administrators(NamedTuple):
    """Whose tokens obtain API keys: one of `values` in the claim."""

    claim: str
    values: frozenset[str]


class BearerTokens:
    def __init__(self, public_url: str, remotes: Iterable[RemoteProvider], administrators: Mapping[str, Administrators]) -> None:
        """administrators: by issuer."""
        providers = tuple(remotes)
        self._expected = {one.provider.issuer: _expected(public_url, one.provider, one) for one in providers}
        self._sites = {(one.provider.issuer, one.provider.name) for one in providers if one.provider.internal}
        self._administrators = administrators

    async def person(self, request: web.Request) -> VerifiedClaims | None:
        """None: the request has no token. BadToken."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return None
        person = await verified(token.strip(), self._expected)
        if _is_id_token(person.claims):
            raise BadToken("claims", "an ID token: it says who has logged in, and goes through browsers and logs")
        return person

    def is_administrator(self, person: VerifiedClaims, site: str) -> bool:
        """Of this site: somebody whom a site vouches for administers that site and no other."""
        wanted, vouched_for = self._administrators.get(person.issuer), {name for issuer, name in self._sites if issuer == person.issuer}
        if wanted is None or (vouched_for and site not in vouched_for):
            return False
        said = person.claims.get(wanted.claim)
        listed = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        return any(isinstance(one, str) and one in wanted.values for one in listed)


def _is_id_token(claims: Mapping[str, Any]) -> bool:
    """Ours always have a nonce (alise/login). Some Keycloaks write it into access tokens too, and say of each what it is."""
    return claims.get("typ") == "ID" or (claims.get("typ") != "Bearer" and not {"nonce", "at_hash"}.isdisjoint(claims))


def _expected(public_url: str, provider: Provider, remote: RemoteProvider) -> Expected:
    return Expected(remote.keys, frozenset((public_url, provider.client_id)), audience_required=True)

