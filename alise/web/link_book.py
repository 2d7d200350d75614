"""What the pages need of the links that are kept, and no more. Storage keeps it; here are the words that both sides use."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from alise.storage.browser import Identity


class Account(NamedTuple):
    """A person's account at a site; `username` is the Unix user that services see."""

    site: str
    issuer: str
    subject: str
    username: str


class Link(NamedTuple):
    id: str
    issuer: str
    subject: str
    display_name: str
    email: str
    assurance: tuple[str, ...]
    linked_at: float  # seconds since the epoch
    used_at: float | None


class Event(NamedTuple):
    at: float
    action: str  # linked, unlinked, login, refused: of somebody who tried to link what belongs to this account
    detail: str


class LinkRefused(Exception):
    """code: linked_elsewhere, already_linked, bad_username, username_changed, suspended."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class LinkBook(Protocol):
    """Each call is one transaction with its audit record; LinkRefused when the rules or the database say no."""

    async def account_for(self, site: str, person: Identity, username: str) -> Account: ...

    async def links_of(self, account: Account) -> Sequence[Link]: ...

    async def link(self, account: Account, person: Identity, proof: Identity, request_id: str) -> Link: ...

    async def unlink(self, account: Account, link_id: str, request_id: str) -> bool: ...

    async def events_of(self, account: Account) -> Sequence[Event]: ...
