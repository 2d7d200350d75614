"""Reads the database files of ALISE 1, alise_<site>.db, and finds what can be believed in them. Writes nothing.

There, a browser session is what holds an account and its identities together. So what is taken over is a session with one account of
the site whose identities stand in no other session. Everything else is refused, each row with the reason.
"""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from alise.storage.usernames import UsernamePolicy

_LONGEST = 255
_SHORTEST_KEY = 16


class CannotRead(Exception):
    """With the file and the reason."""


class Person(NamedTuple):
    provider: str
    subject: str
    display_name: str
    email: str
    seen_at: float | None


class TakenAccount(NamedTuple):
    username: str
    person: Person
    identities: tuple[Person, ...]


class TakenKey(NamedTuple):
    key: str
    owner: str


class Refused(NamedTuple):
    row: str  # table and identity
    reason: str


class Found(NamedTuple):
    accounts: list[TakenAccount]
    keys: list[TakenKey]
    refused: list[Refused]


class _Row(NamedTuple):
    table: str
    session: str
    identity: str
    person: Person
    username: str


class Site(NamedTuple):
    """What the configuration says of it."""

    name: str
    usernames: UsernamePolicy
    others: Collection[str]  # the names of the providers that are no sites


def site_files(directory: Path) -> dict[str, Path]:
    """By the name of the site. CannotRead when there is none."""
    found = {path.name[len("alise_") : -len(".db")]: path for path in sorted(directory.glob("alise_*.db"))}
    if not found:
        raise CannotRead(f"{directory}: holds no alise_<site>.db")
    return found


def read(path: Path, site: Site) -> Found:
    refused: list[Refused] = []
    connection = _open(path)
    try:
        accounts = list(_rows(connection, "int_user", {site.name}, refused))
        others = list(_rows(connection, "ext_user", site.others, refused))
        keys = list(_keys(connection, refused))
    except sqlite3.Error as failed:
        raise CannotRead(f"{path}: {failed}") from failed
    finally:
        connection.close()
    return Found(_taken(accounts, others, site, refused), keys, refused)


def _open(path: Path) -> sqlite3.Connection:
    """immutable: its writer is stopped; not even a lock is left beside it."""
    if not path.is_file():
        raise CannotRead(f"{path}: is not there")
    for beside in (Path(f"{path}-wal"), Path(f"{path}-journal")):  # immutable: SQLite would not look at it, and say nothing
        if beside.is_file() and beside.stat().st_size:
            raise CannotRead(f"{beside}: holds changes that are not in the database yet: `sqlite3 {path} .tables` brings them in")
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True)


def _rows(connection: sqlite3.Connection, table: str, providers: Collection[str], refused: list[Refused]) -> Iterator[_Row]:
    columns = "session_id, identity, provider, jsonstr, last_seen"
    for session, identity, provider, text, last_seen in connection.execute(f"SELECT {columns} FROM {table} ORDER BY rowid"):
        row = _row(table, session, identity, provider, text, last_seen)
        why_not = row if isinstance(row, str) else None if row.person.provider in providers else _unknown(table, row.person.provider)
        if isinstance(row, _Row) and not why_not:
            yield row
        else:
            refused.append(Refused(_name(table, identity), why_not or ""))


def _row(table: str, session: Any, identity: Any, provider: Any, text: Any, last_seen: Any) -> _Row | str:
    """Or why it is none."""
    if not all(isinstance(value, str) and value for value in (session, identity, provider)):
        return "a value is missing"
    named, _, subject = identity.partition(":")
    if named != provider:
        return f"the identity does not begin with its provider, {provider!r}"
    if not 0 < len(subject) <= _LONGEST or not subject.isprintable():
        return "the subject is no short text"
    try:
        said = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        return "what the provider said is no JSON object"
    seen = float(last_seen) if isinstance(last_seen, int | float) and 0 < last_seen < 1e11 else None
    person = Person(provider, subject, _text(said.get("display_name") or said.get("name")), _text(said.get("email")), seen)
    return _Row(table, session, identity, person, _text(said.get("generated_username")))


def _unknown(table: str, provider: str) -> str:
    if table == "int_user":
        return f"{provider!r} is not the provider of this site"
    return f"no provider {provider!r} is configured, or it is a site's"


def _taken(accounts: list[_Row], others: list[_Row], site: Site, refused: list[Refused]) -> list[TakenAccount]:
    """Sessions with exactly one account, which is in no other session; of their identities those that are in no other session."""
    in_session = Counter(row.session for row in accounts)
    often = Counter(row.identity for row in accounts) + Counter(row.identity for row in others)
    names = Counter(row.username for row in accounts)
    sound: dict[str, _Row] = {}
    for row in accounts:
        if reason := _why_not_account(row, in_session, often, names, site.usernames):
            refused.append(Refused(_name(row.table, row.identity), reason))
        else:
            sound[row.session] = row
    identities: dict[str, list[Person]] = {session: [] for session in sound}
    for row in others:
        if often[row.identity] > 1:
            refused.append(Refused(_name(row.table, row.identity), "the identity stands in several sessions"))
        elif row.session not in sound:
            why = "its account is refused" if in_session[row.session] else "there is no account in its session"
            refused.append(Refused(_name(row.table, row.identity), why))
        else:
            identities[row.session].append(row.person)
    return [TakenAccount(row.username, row.person, tuple(identities[session])) for session, row in sound.items()]


def _why_not_account(
    row: _Row, sessions: Mapping[str, int], often: Mapping[str, int], names: Mapping[str, int], policy: UsernamePolicy
) -> str:
    if sessions[row.session] > 1:
        return "its session holds several accounts: whose the identities are cannot be known"
    if often[row.identity] > 1:
        return "the account stands in several sessions"
    if not policy.allows(row.username):
        return f"the user name {row.username!r} is not allowed (username_pattern, denied_usernames)"
    return "another account has the same user name" if names[row.username] > 1 else ""


def _keys(connection: sqlite3.Connection, refused: list[Refused]) -> Iterator[TakenKey]:
    columns = "ownername, owneremail, sub, iss, apikey"
    for name, email, subject, issuer, key in connection.execute(f"SELECT {columns} FROM apikeys ORDER BY rowid"):
        owner = f"{_text(name)} <{_text(email)}> {_text(subject)} at {_text(issuer)}"[:_LONGEST]
        if isinstance(key, str) and len(key) >= _SHORTEST_KEY and key.isascii():
            yield TakenKey(key, owner)
        else:
            refused.append(Refused(f"apikeys: {owner}", f"the key is shorter than {_SHORTEST_KEY} characters"))


def _name(table: str, identity: Any) -> str:
    return f"{table}: {identity if isinstance(identity, str) else '?'}"[:300]


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= _LONGEST and value.isprintable() else ""
