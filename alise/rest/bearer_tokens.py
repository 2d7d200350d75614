"""People at the API: access tokens of configured providers, meant for ALISE (RFC 9068). For what v1 offers to people, and nothing else."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aiohttp import web

from alise.login.provider import Provider
from alise.login.remote_provider import RemoteProvider
from common.token_verification import Expected, VerifiedClaims, verified


class Administrators(NamedTuple):
    """Whose tokens obtain API keys: one of `values` in the claim."""

    claim: str
    values: frozenset[str]


class BearerTokens:
    def __init__(self, public_url: str, remotes: Iterable[RemoteProvider], administrators: Mapping[str, Administrators]) -> None:
        """administrators: by issuer."""
        self._expected = {one.provider.issuer: _expected(public_url, one.provider, one) for one in remotes}
        self._administrators = administrators

    async def person(self, request: web.Request) -> VerifiedClaims | None:
        """None: the request has no token. BadToken."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return None
        return await verified(token.strip(), self._expected)

    def is_administrator(self, person: VerifiedClaims) -> bool:
        wanted = self._administrators.get(person.issuer)
        if wanted is None:
            return False
        said = person.claims.get(wanted.claim)
        listed = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        return any(isinstance(one, str) and one in wanted.values for one in listed)


def _expected(public_url: str, provider: Provider, remote: RemoteProvider) -> Expected:
    return Expected(remote.keys, frozenset((public_url, provider.client_id)), audience_required=True)

