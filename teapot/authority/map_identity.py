"""From a verified identity to a local account: by (issuer, subject), never by the subject alone; the first method
that answers wins.
"""

import logging
from typing import NamedTuple

from teapot.accounts import is_account_name
from teapot.authority.alise_answers import NotLinked, Subject
from teapot.authority.alise_links import AliseLinks, Mapped
from teapot.authority.authenticate import Identity
from teapot.authority.mapping_file import MappingFile
from teapot.authority.memberships import Memberships, holds
from teapot.authority.refusal import Refusal
from teapot.configuration import Mapping

log = logging.getLogger(__name__)

FOR_EVER = float("inf")  # until somebody says that it is void


class MappingChange(NamedTuple):
    """Accounts that an identity had, and has no more."""

    nobodys: frozenset[str] = frozenset()  # no other identity is known to have it either
    others: frozenset[str] = frozenset()


class IdentityMap:
    """The chain of [mapping] methods."""

    def __init__(self, mapping: Mapping, file: MappingFile | None, alise: AliseLinks | None) -> None:
        self._mapping, self._file, self._alise = mapping, file, alise
        self._link_url = _page_for_links(mapping)

    async def account(self, identity: Identity, held: Memberships | None) -> Mapped:
        """Refusal not_mapped, not_linked or link_suspended, or mapping_unavailable, memberships_unavailable: a method that
        cannot be asked is not passed over, for the next might answer otherwise.
        """
        link_url = None
        for method in self._mapping.methods:
            found = await self._by(method, identity, held)
            if isinstance(found, NotLinked):
                link_url = found.link_url or self._link_url
            elif found is not None:
                return found
        who = f"subject {identity.claims.subject!r} of {identity.claims.issuer}"
        raise Refusal("not_mapped", who) if link_url is None else Refusal("not_linked", who, link_url)

    def change(self, lost: frozenset[str]) -> MappingChange:
        """What it means for these accounts that somebody has them no more."""
        others = self._file.named(lost) if self._file else frozenset()
        others |= self._alise.named(lost) if self._alise else frozenset()
        others |= lost & {rule.account for rule in self._mapping.vo}
        return MappingChange(lost - others, others)

    def vo_account(self, issuer: str, held: Memberships) -> str:
        """Of the first [[mapping.vo]] that this issuer's bearer is of; "": of none."""
        return next((rule.account for rule in self._mapping.vo if holds(held, issuer, (rule,))), "")

    async def _by(self, method: str, identity: Identity, held: Memberships | None) -> Mapped | NotLinked | None:
        """None: this method says nothing about the identity."""
        if method == "alise":
            subject = Subject(identity.claims.issuer, identity.claims.subject)
            return await self._alise.find(subject) if self._alise else None
        if method == "file":
            name = await self._by_file(identity)
        else:
            name = self._by_vo(identity, held) if method == "vo" else self._by_claim(identity)
        return Mapped(name, FOR_EVER) if name is not None else None

    def _by_vo(self, identity: Identity, held: Memberships | None) -> str | None:
        if held is None and self._mapping.vo:
            raise Refusal("memberships_unavailable", f"{identity.claims.issuer} cannot be asked for the groups of its people")
        return self.vo_account(identity.claims.issuer, held) or None if held is not None else None

    async def _by_file(self, identity: Identity) -> str | None:
        return await self._file.account(identity.claims.issuer, identity.claims.subject) if self._file else None

    def _by_claim(self, identity: Identity) -> str | None:
        """A claim is an account's name only from the issuers that the site trusts with that."""
        for rule in self._mapping.claim:
            value = identity.claims.claims.get(rule.claim)
            if identity.claims.issuer not in rule.issuers or value is None:
                continue
            if isinstance(value, str) and is_account_name(value):
                return value
            log.info("%s of %r: no account's name: %r", rule.claim, identity.claims.subject, str(value)[:80])
        return None


def _page_for_links(mapping: Mapping) -> str:
    """Unless ALISE names another one: what the site has configured, or the address at which people know ALISE."""
    alise = mapping.alise
    if alise is None:
        return ""
    return alise.link_url or f"{alise.url.rstrip('/')}/{alise.site}"
