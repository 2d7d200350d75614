"""Which of the site's rules are about somebody, and who is banned. Pure.

What rules allow where is the gateways' business (gateway/rules.py).
"""

from typing import Any

from teapot.authority import capabilities
from teapot.authority.authenticate import Identity
from teapot.authority.memberships import Memberships, fulfils
from teapot.configuration import Ban, Principal, Rule


def asks_for_memberships(rule: Rule) -> bool:
    return any(one.group or one.entitlement for one in rule.principals)


def rules_about(rules: tuple[Rule, ...], identity: Identity | None, held: Memberships) -> tuple[int, ...]:
    """Their places in the configuration. None: the caller without a token."""
    return tuple(number for number, rule in enumerate(rules) if any(_is(one, identity, held) for one in rule.principals))


def banned(bans: tuple[Ban, ...], identity: Identity) -> Ban | None:
    issuer, subject = identity.claims.issuer, identity.claims.subject
    return next((ban for ban in bans if ban.issuer == issuer and ban.subject in ("*", subject)), None)


def _is(principal: Principal, identity: Identity | None, held: Memberships) -> bool:
    """All that the principal says must be so."""
    if identity is None:
        return principal.who in ("anyone", "anonymous") and not _says_more(principal)
    claims = identity.claims
    return (
        principal.who != "anonymous"
        and principal.issuer in ("", claims.issuer)
        and principal.subject in ("", claims.subject)
        and principal.client_id in ("", _client(claims.claims))
        and (not principal.scope or principal.scope in capabilities.scopes_of(claims.claims))
        and (not (principal.group or principal.entitlement) or fulfils(held, principal))
    )


def _says_more(principal: Principal) -> bool:
    return any((principal.issuer, principal.subject, principal.client_id, principal.group, principal.entitlement, principal.scope))


def _client(claims: Any) -> object:
    return claims.get("client_id") or claims.get("azp")
