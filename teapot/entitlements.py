"""Entitlements that name a group, in the form of AARC-G002 and AARC-G069. Pure.

    urn:NAMESPACE:group:GROUP[:SUBGROUP...][:role=ROLE][#AUTHORITY]
"""

import re
from typing import NamedTuple
from urllib.parse import unquote

_FORM = re.compile(r"(urn:[^#\s]{1,500}?):group:([^#\s]{1,500})(#[^\s]*)?", re.IGNORECASE)


class Entitlement(NamedTuple):
    """The authority behind "#" tells who says it, and is no part of what is said (AARC-G069, section 3)."""

    namespace: str
    groups: tuple[str, ...]  # from the outermost inwards
    role: str

    def contains(self, required: "Entitlement") -> bool:
        """Who is in a subgroup is in the group; a role is one of exactly the group that it stands behind."""
        if self.namespace != required.namespace:
            return False
        if required.role:
            return (self.groups, self.role) == (required.groups, required.role)
        return self.groups[: len(required.groups)] == required.groups


def entitlement(text: str) -> Entitlement | None:
    """None: it has another form."""
    match = _FORM.fullmatch(text)
    if not match:
        return None
    *groups, last = match[2].split(":")
    is_role = last.startswith("role=") and bool(groups)
    role = unquote(last.removeprefix("role=")) if is_role else ""
    named = tuple(map(unquote, groups if is_role else [*groups, last]))
    in_form = all(named) and (role or not is_role) and not any(one.startswith("role=") for one in named)
    return Entitlement(match[1].lower(), named, role) if in_form else None
