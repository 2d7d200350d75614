"""Who is who, as services ask it thousands of times a second: by (site, issuer, subject), read only.

What makes a link count stands here and in the views for services beside ALISE (migrations): link and account are active, site and issuer
configured. Of others it is known whether they are suspended; what was revoked is as if it had never been.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from alise.storage.catalogue import Catalogue
from alise.storage.rows import Rows

_LINK = """
    SELECT link.id, link.status, account.status, account.username, link.created_at, identity.assurance
    FROM identity JOIN link ON link.identity_id = identity.id JOIN account ON account.id = link.account_id
    WHERE identity.issuer_id = $1 AND identity.subject = $2 AND link.site_id = $3 AND link.status IN ('active', 'suspended')"""
_ACCOUNT_AND_ALL = """
    SELECT link.id, account.id, account.issuer_id, account.subject, account.username, account.display_name, account.last_login_at,
        beside.id, other.issuer_id, other.subject, other.display_name, other.last_login_at
    FROM identity JOIN link ON link.identity_id = identity.id JOIN account ON account.id = link.account_id
        JOIN link AS beside ON beside.account_id = account.id JOIN identity AS other ON other.id = beside.identity_id
    WHERE identity.issuer_id = $1 AND identity.subject = $2 AND link.site_id = $3 AND link.status = 'active'
        AND account.status = 'active' AND beside.status = 'active'
    LIMIT 1000"""  # in whatever order: sorting them here is cheaper
_LINK_ID = itemgetter(7)
_IDENTITIES = """
    SELECT identity.issuer_id, identity.subject, identity.display_name, identity.last_login_at
    FROM link JOIN identity ON identity.id = link.identity_id
    WHERE link.account_id = $1 AND link.status = 'active' ORDER BY link.id LIMIT 1000"""
_ACCOUNT_OF = "SELECT id FROM account WHERE site_id = $1 AND issuer_id = $2 AND subject = $3 AND status = 'active'"
_ACCOUNT = "SELECT id, issuer_id, subject, username, display_name, last_login_at FROM account WHERE id = $1"
_KEY = "SELECT id, site_id FROM api_key WHERE hash = $1 AND revoked_at IS NULL AND expires_at > $2"
_CHANGES = """
    SELECT change.seq, change.operation, change.issuer_id, change.subject FROM change
    WHERE change.site_id = $1 AND change.seq > $2 ORDER BY change.seq LIMIT $3"""
_LATEST = "SELECT change_seq FROM head"


class Found(NamedTuple):
    link_id: int
    link_status: str
    account_status: str
    username: str
    linked_at: float
    assurance: str  # a JSON list

    @property
    def counts(self) -> bool:
        return self.link_status == "active" and self.account_status == "active"


class AccountRow(NamedTuple):
    id: int
    issuer_id: int
    subject: str | None
    username: str
    display_name: str
    seen_at: float | None


class LinkedIdentity(NamedTuple):
    issuer: str
    subject: str
    display_name: str
    seen_at: float | None


class AccountFound(NamedTuple):
    link_id: int
    account: AccountRow
    identities: Sequence[LinkedIdentity]


class KeyFound(NamedTuple):
    id: str
    site_id: int


class Change(NamedTuple):
    seq: int
    operation: str
    issuer: str
    subject: str


class Lookup:
    """DatabaseAway from each."""

    def __init__(self, rows: Rows, catalogue: Catalogue) -> None:
        self._rows, self.catalogue = rows, catalogue
        self._forms = issuer_forms(catalogue.issuers)
        self._urls = {number: url for url, number in catalogue.issuers.items()}

    async def resolve(self, site: str, issuer: str, subject: str) -> Found | None:
        """issuer: the URL, with or without a slash at its end, or a hash of it."""
        numbers = self._forms.get(issuer), self.catalogue.sites.get(site)
        if None in numbers or not can_be_stored(subject):
            return None
        rows = await self._rows.rows(_LINK, numbers[0], subject, numbers[1])
        return Found(*rows[0]) if rows else None

    async def resolve_with_all(self, site: str, issuer: str, subject: str) -> AccountFound | None:
        """What counts, and every identity of the account, the asked one included: in one question."""
        numbers = self._forms.get(issuer), self.catalogue.sites.get(site)
        if None in numbers or not can_be_stored(subject):
            return None
        rows = await self._rows.rows(_ACCOUNT_AND_ALL, numbers[0], subject, numbers[1])
        if not rows:
            return None
        rows.sort(key=_LINK_ID)
        beside = [LinkedIdentity(self._urls[row[8]], *row[9:]) for row in rows if row[8] in self._urls]
        return AccountFound(rows[0][0], AccountRow(*rows[0][1:7]), beside)

    async def own_account(self, site: str, issuer: str, subject: str) -> AccountRow | None:
        """Of somebody who logs in at the site itself."""
        numbers = self.catalogue.sites.get(site), self._forms.get(issuer)
        if None in numbers or not can_be_stored(subject):
            return None
        found = await self._rows.rows(_ACCOUNT_OF, *numbers, subject)
        return AccountRow(*(await self._rows.rows(_ACCOUNT, found[0][0]))[0]) if found else None

    async def identities_of(self, account_id: int) -> Sequence[LinkedIdentity]:
        found = await self._rows.rows(_IDENTITIES, account_id)
        return [LinkedIdentity(self._urls[row[0]], *row[1:]) for row in found if row[0] in self._urls]

    def issuer_named(self, form: str) -> str:
        """The configured URL that a service means; "": none."""
        return self._urls.get(self._forms.get(form, -1), "")

    def issuer_url(self, number: int) -> str:
        return self._urls.get(number, "")

    async def key(self, digest: bytes, now: float) -> KeyFound | None:
        found = await self._rows.rows(_KEY, digest, now)
        return KeyFound(*found[0]) if found else None

    async def changes(self, site: str, since: int, most: int) -> Sequence[Change]:
        found = await self._rows.rows(_CHANGES, self.catalogue.sites[site], since, most)
        return [Change(row[0], row[1], self._urls.get(row[2], ""), row[3]) for row in found]

    async def latest_change(self) -> int:
        return int((await self._rows.rows(_LATEST))[0][0])


def issuer_forms(issuers: Mapping[str, int]) -> Mapping[str, int]:
    """Every form in which services name an issuer: its URL with and without a slash at the end, and SHA-1 of either, with and without a
    line feed (as `echo URL | sha1sum` makes it)."""
    forms = {form: number for url, number in issuers.items() for form in _forms(url)}
    return forms | dict(issuers)


def _forms(url: str) -> Iterable[str]:
    for variant in (url.rstrip("/"), url.rstrip("/") + "/"):
        yield variant
        yield hashlib.sha1(variant.encode()).hexdigest()
        yield hashlib.sha1(f"{variant}\n".encode()).hexdigest()


def can_be_stored(subject: str) -> bool:
    return 0 < len(subject) <= 255 and subject.isprintable()
