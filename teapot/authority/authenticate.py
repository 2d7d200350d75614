"""From a bearer token to a verified identity with its capabilities, or to a refusal that says what is wrong with the
token.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from common.token_verification import BadToken, Expected, Keys, VerifiedClaims, verified
from teapot.authority import capabilities
from teapot.authority.audiences import audiences
from teapot.authority.refusal import Refusal
from teapot.channel.authority_messages import Capability
from teapot.configuration import Issuer, Server


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified bearer. Made by Authenticator only."""

    claims: VerifiedClaims
    issuer: Issuer
    capabilities: tuple[Capability, ...]
    has_capabilities: bool
    token: str = field(default="", repr=False)  # its issuer may have to be asked of which groups the bearer is


class Authenticator:
    def __init__(self, server: Server, issuers: tuple[Issuer, ...], keys: Mapping[str, Keys]) -> None:
        self._issuers = {issuer.url: issuer for issuer in issuers}
        self._expected = {
            issuer.url: Expected(keys[issuer.url], audiences(server, issuer), issuer.audience_required)
            for issuer in issuers
        }

    async def authenticate(self, unverified_token: str) -> Identity:
        """Refusal with one of the token_* problems, or issuer_unavailable."""
        try:
            claims = await verified(unverified_token, self._expected)
        except BadToken as bad:
            code = bad.code if bad.code == "issuer_unavailable" else f"token_{bad.code}"
            raise Refusal(code, bad.detail) from bad
        issuer = self._issuers[claims.issuer]
        if issuer.profile == "identity":
            return Identity(claims, issuer, (), False, unverified_token)
        granted = (capabilities.wlcg if issuer.profile == "wlcg" else capabilities.scitokens)(claims.claims)
        return Identity(claims, issuer, granted.capabilities, granted.any, unverified_token)
