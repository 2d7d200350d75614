"""What pages and commands hand to each other: accounts, links, events, and why one of them was refused. Values only."""

from typing import NamedTuple


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
    suspended: bool = False  # by an administrator: it does not count, and its owner cannot take it away and make it anew


class Event(NamedTuple):
    at: float
    action: str  # linked, unlinked, login, refused: of somebody who tried to link what belongs to this account
    detail: str


class LinkRefused(Exception):
    """code: linked_elsewhere, already_linked, bad_username, username_changed, suspended."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
