"""One configured identity provider, and what a login there proves. Values only: nothing in here asks anybody."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Provider:
    """`internal`: its accounts are the accounts of a site, and `name` is the site's. The secret has no readable form."""

    name: str
    issuer: str  # exactly as in its ID tokens
    client_id: str
    client_secret: str = field(repr=False)
    internal: bool = False
    title: str = ""  # what people read; empty: the name
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    username_claim: str = "sub"
    ca: str = "system"  # or a file
    fresh_by: Literal["prompt", "max_age", "select"] = "prompt"  # how it is asked for a new login; "select": it cannot be (Google)

    @property
    def shown(self) -> str:
        return self.title or self.name


@dataclass(frozen=True)
class ProvenIdentity:
    """Somebody who logged in at a provider, as code_flow.complete found. Names and addresses in it are for showing, never for deciding."""

    provider: str
    issuer: str
    subject: str
    authenticated_at: float | None  # seconds since the epoch; None: the provider does not say
    username: str | None
    display_name: str
    email: str
    acr: str
    amr: tuple[str, ...]
    assurance: tuple[str, ...]
    session_at_provider: str  # its sid, for logout
    id_token: str = field(repr=False)  # the hint for logging out there


def proven(provider: Provider, subject: str, claims: Mapping[str, Any], id_token: str) -> ProvenIdentity:
    """From claims that were verified. What is no short text counts as absent: providers send lists, numbers and nulls there."""
    return ProvenIdentity(
        provider=provider.name,
        issuer=provider.issuer,
        subject=subject,
        authenticated_at=_time(claims.get("auth_time")),
        username=_text(claims.get(provider.username_claim)) or None,
        display_name=_text(claims.get("name")) or _text(claims.get("preferred_username")),
        email=_text(claims.get("email")),
        acr=_text(claims.get("acr")),
        amr=_texts(claims.get("amr")),
        assurance=_texts(claims.get("eduperson_assurance")),
        session_at_provider=_text(claims.get("sid")),
        id_token=id_token,
    )


_LONGEST = 255
_MOST = 32


def _text(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= _LONGEST and value.isprintable() else ""


def _texts(value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(text for each in listed[:_MOST] if (text := _text(each)))


def _time(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e12:
        return None
    return float(value)
