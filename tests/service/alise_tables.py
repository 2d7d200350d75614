"""A database with the views that ALISE has for services beside it, and what people do to their links in it."""

import sqlite3
from pathlib import Path
from typing import Protocol

SITE = "hpc"

TABLES = """
CREATE TABLE secrets (hash text);
CREATE TABLE link (site text, issuer text, subject text, username text, state text);
CREATE TABLE change (seq integer PRIMARY KEY, site text, issuer text, subject text);
CREATE VIEW service_site AS SELECT 'hpc' AS site;
CREATE VIEW service_link AS SELECT site, issuer, subject, username, state FROM link;
CREATE VIEW service_change AS SELECT site, seq, issuer, subject FROM change;
"""


class Database(Protocol):
    url: str

    def run(self, statements: str) -> None: ...

    def stop(self) -> None: ...

    def start(self) -> None: ...


class Sqlite:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.url = f"sqlite+aiosqlite:///{path}"
        self._writer = sqlite3.connect(path, isolation_level=None)
        self._writer.execute("PRAGMA journal_mode = WAL")
        self.run(TABLES)

    def run(self, statements: str) -> None:
        self._writer.executescript(f"BEGIN; {statements} COMMIT;")

    def stop(self) -> None:
        """Gone, as on a file system that is not mounted."""
        self._path.parent.rename(self._path.parent.with_suffix(".away"))

    def start(self) -> None:
        self._path.parent.with_suffix(".away").rename(self._path.parent)

    def close(self) -> None:
        self._writer.close()


def link(database: Database, issuer: str, subject: str, username: str, state: str = "active") -> None:
    database.run(f"INSERT INTO link VALUES ('{SITE}', '{issuer}', '{subject}', '{username}', '{state}'); {change(issuer, subject)}")


def unlink(database: Database, issuer: str, subject: str) -> None:
    database.run(f"DELETE FROM link WHERE issuer = '{issuer}' AND subject = '{subject}'; {change(issuer, subject)}")


def change(issuer: str, subject: str) -> str:
    return f"INSERT INTO change SELECT coalesce(max(seq), 0) + 1, '{SITE}', '{issuer}', '{subject}' FROM change;"
