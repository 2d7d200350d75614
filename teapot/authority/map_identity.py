"""From a verified identity to a local account: by (issuer, subject), never by the subject alone; the first method
that answers wins.
"""

import logging

from teapot.accounts import is_account_name
from teapot.authority.authenticate import Identity
from teapot.authority.mapping_file import MappingFile
from teapot.authority.refusal import Refusal
from teapot.configuration import Mapping

log = logging.getLogger(__name__)


class IdentityMap:
    """The chain of [mapping] methods."""

    def __init__(self, mapping: Mapping, file: MappingFile | None) -> None:
        self._mapping, self._file = mapping, file

    async def account(self, identity: Identity) -> str:
        """Refusal not_mapped, or mapping_unavailable: a method that cannot be asked is not passed over, for the next
        might answer otherwise.
        """
        for method in self._mapping.methods:
            name = await self._by_file(identity) if method == "file" else self._by_claim(identity)
            if name is not None:
                return name
        raise Refusal("not_mapped", f"subject {identity.claims.subject!r} of {identity.claims.issuer}")

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
