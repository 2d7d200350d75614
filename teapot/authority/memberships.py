"""Of which groups somebody is, and which entitlements they have, by what their issuer says. Pure.

Two families with two meanings: a group (WLCG `wlcg.groups`, or `groups`) is that very group, and says nothing of the groups above it;
an entitlement (AARC-G002, AARC-G069) also fulfils what is asked of the groups above its own. Either counts only from the issuers that
the site names for it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from teapot.configuration import Membership, Principal
from teapot.entitlements import Entitlement, entitlement

_MOST = 1000  # of either kind: an issuer that says more is misused
_LONGEST = 1024


class Memberships(NamedTuple):
    groups: frozenset[str] = frozenset()
    entitlements: frozenset[Entitlement] = frozenset()


NONE = Memberships()


def said(claims: Mapping[str, Any]) -> Memberships:
    """Of a token, of UserInfo or of an introspection. What has another form is not understood, and counts for nothing."""
    groups = (*_texts(claims.get("wlcg.groups")), *_texts(claims.get("groups")))
    entitlements = map(entitlement, (*_texts(claims.get("eduperson_entitlement")), *_texts(claims.get("entitlements"))))
    return Memberships(frozenset(groups), frozenset(filter(None, entitlements)))


def fulfils(held: Memberships, wanted: Membership | Principal) -> bool:
    """Whoever said it: the caller has looked at the issuer."""
    if wanted.group:
        return wanted.group in held.groups
    required = entitlement(wanted.entitlement)
    return required is not None and any(one.contains(required) for one in held.entitlements)


def holds(held: Memberships, issuer: str, wanted: Iterable[Membership]) -> bool:
    return any(issuer in one.issuers and fulfils(held, one) for one in wanted)


def _texts(value: object) -> list[str]:
    listed = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [one for one in listed[:_MOST] if isinstance(one, str) and 0 < len(one) <= _LONGEST]
