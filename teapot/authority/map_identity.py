"""From a verified identity to local accounts: by (issuer, subject), never by the subject alone; the first method that answers wins.

"Nobody knows at present" is never "not mapped": a file that cannot be read is a 503, an identity that it does not name a 403.
"""

import logging
import os
import shlex
from typing import NamedTuple

from teapot.accounts import is_account_name
from teapot.authority.authenticate import Identity
from teapot.authority.refusal import Refusal
from teapot.configuration import Issuer, Mapping

log = logging.getLogger(__name__)

_MAX_FILE_BYTES = 64 << 20


class _Version(NamedTuple):
    inode: int
    size: int
    changed_ns: int


class MappingFile:
    """Lines of `account subject [issuer]`, quoted as in a shell; read again when the file has changed."""

    def __init__(self, path: str, issuers: tuple[Issuer, ...]) -> None:
        self._path = path
        self._only_issuer = issuers[0].url if len(issuers) == 1 else None
        self._version: _Version | None = None
        self._accounts: dict[tuple[str, str], str] = {}

    def account(self, issuer: str, subject: str) -> str | None:
        """None: not in the file. Refusal mapping_unavailable: the file cannot be read, or says nonsense."""
        self.refresh()
        return self._accounts.get((issuer, subject))

    def refresh(self) -> set[str]:
        """Read the file if it has changed; the accounts that it names no more."""
        try:
            with open(self._path, "rb") as file:
                status = os.fstat(file.fileno())
                version = _Version(status.st_ino, status.st_size, status.st_mtime_ns)
                if version == self._version:
                    return set()
                accounts = self._parsed(file.read(_MAX_FILE_BYTES).decode())
        except (OSError, ValueError) as failed:
            raise Refusal("mapping_unavailable", f"{self._path}: {failed}") from failed
        gone = set(self._accounts.values()) - set(accounts.values())
        self._accounts, self._version = accounts, version
        log.info("%s: %d identities", self._path, len(accounts))
        return gone

    def _parsed(self, text: str) -> dict[tuple[str, str], str]:
        found: dict[tuple[str, str], str] = {}
        for number, line in enumerate(text.splitlines(), 1):
            words = shlex.split(line, comments=True)
            if not words:
                continue
            issuer = words[2] if len(words) == 3 else self._only_issuer
            if len(words) not in (2, 3) or not is_account_name(words[0]):
                raise ValueError(f"line {number}: must be: account subject [issuer]")
            if issuer is None:
                raise ValueError(f"line {number}: more than one issuer is configured: name the one that is meant")
            if found.setdefault((issuer, words[1]), words[0]) != words[0]:
                raise ValueError(f"line {number}: this identity has another account already")
        return found


class IdentityMap:
    """The chain of [mapping] methods."""

    def __init__(self, mapping: Mapping, issuers: tuple[Issuer, ...]) -> None:
        self._mapping = mapping
        self.file = MappingFile(mapping.file.path, issuers) if mapping.file else None

    def account(self, identity: Identity) -> str:
        """Refusal not_mapped, mapping_unavailable."""
        for method in self._mapping.methods:
            name = self._by_file(identity) if method == "file" else self._by_claim(identity)
            if name is not None:
                return name
        raise Refusal("not_mapped", f"subject {identity.claims.subject!r} of {identity.claims.issuer}")

    def _by_file(self, identity: Identity) -> str | None:
        return self.file.account(identity.claims.issuer, identity.claims.subject) if self.file else None

    def _by_claim(self, identity: Identity) -> str | None:
        """A claim is trusted as an account's name only from the issuers that are named for it."""
        for rule in self._mapping.claim:
            value = identity.claims.claims.get(rule.claim)
            if identity.claims.issuer in rule.issuers and isinstance(value, str) and is_account_name(value):
                return value
        return None
