"""Links in SQLite with the rules that count for pages: one account per identity and site, by constraint; refusals are told to the owner."""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from alise.storage.browser import Identity
from alise.web.link_book import Account, Event, Link, LinkRefused

_TABLES = """
CREATE TABLE account (site, issuer, subject, username, PRIMARY KEY (site, issuer, subject), UNIQUE (site, username));
CREATE TABLE link (id INTEGER PRIMARY KEY, site, username, issuer, subject, name, email, assurance, at, UNIQUE (site, issuer, subject));
CREATE TABLE event (site, username, at, action, detail);
"""


class SqliteLinkBook:
    def __init__(self, path: Path) -> None:
        self.rows = sqlite3.connect(path, isolation_level=None)
        self.rows.executescript(_TABLES)

    async def account_for(self, site: str, person: Identity, username: str) -> Account:
        if not username or username == "root" or not username.isidentifier():
            raise LinkRefused("bad_username")
        key = (site, person.issuer, person.subject)
        new = "INSERT INTO account VALUES (?, ?, ?, ?) ON CONFLICT (site, issuer, subject) DO NOTHING"
        try:
            self.rows.execute(new, (*key, username))
        except sqlite3.IntegrityError as taken:
            raise LinkRefused("username_changed") from taken
        (known,) = self.rows.execute("SELECT username FROM account WHERE site = ? AND issuer = ? AND subject = ?", key).fetchone()
        if known != username:
            raise LinkRefused("username_changed")
        return Account(*key, username)

    async def links_of(self, account: Account) -> Sequence[Link]:
        wanted = "SELECT id, issuer, subject, name, email, assurance, at FROM link WHERE site = ? AND username = ? ORDER BY id"
        found = self.rows.execute(wanted, (account.site, account.username)).fetchall()
        return [Link(str(r[0]), r[1], r[2], r[3], r[4], tuple(filter(None, r[5].split("\n"))), r[6], None) for r in found]

    async def link(self, account: Account, person: Identity, proof: Identity, request_id: str) -> Link:
        values = (account.site, account.username, proof.issuer, proof.subject, proof.display_name, proof.email, "\n".join(proof.assurance))
        try:
            self.rows.execute("INSERT INTO link VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", (*values, time.time()))
        except sqlite3.IntegrityError as taken:
            raise LinkRefused(self._refusal(account, proof)) from taken
        self._tell(account.site, account.username, "linked", proof.display_name or proof.subject)
        return (await self.links_of(account))[-1]

    async def unlink(self, account: Account, link_id: str, request_id: str) -> bool:
        gone = self.rows.execute("DELETE FROM link WHERE id = ? AND site = ? AND username = ?", (link_id, account.site, account.username))
        self._tell(account.site, account.username, "unlinked", "")
        return gone.rowcount == 1

    async def events_of(self, account: Account) -> Sequence[Event]:
        wanted = "SELECT at, action, detail FROM event WHERE site = ? AND username = ? ORDER BY rowid DESC"
        return [Event(*row) for row in self.rows.execute(wanted, (account.site, account.username))]

    def all_links(self) -> list[tuple[str, str]]:
        """(username, subject), for tests to look at."""
        return self.rows.execute("SELECT username, subject FROM link ORDER BY id").fetchall()

    def _refusal(self, account: Account, proof: Identity) -> str:
        wanted = "SELECT username FROM link WHERE site = ? AND issuer = ? AND subject = ?"
        (owner,) = self.rows.execute(wanted, (account.site, proof.issuer, proof.subject)).fetchone()
        if owner == account.username:
            return "already_linked"
        self._tell(account.site, owner, "refused", proof.display_name or proof.subject)
        return "linked_elsewhere"

    def _tell(self, site: str, username: str, action: str, detail: str) -> None:
        self.rows.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?)", (site, username, time.time(), action, detail))
