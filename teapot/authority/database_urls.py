"""Opens the database that a URL names, as SQLAlchemy writes it: sqlite:////PATH or postgresql://..., with or without +DRIVER.

The URL may hold a password: it is in no message.
"""

from urllib.parse import unquote, urlsplit

from teapot.authority.alise_database import Rows


class BadDatabaseUrl(Exception):
    """What is wrong with it, for the log."""


def opened(url: str, timeout_s: float) -> Rows:
    """Nothing is connected to yet."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadDatabaseUrl("it is no URL") from None
    kind = parts.scheme.partition("+")[0]
    if kind == "sqlite":
        return _sqlite(unquote(parts.path), timeout_s)
    if kind == "postgresql":
        from teapot.authority.postgresql_rows import PostgresqlRows  # only who uses it needs the driver

        return PostgresqlRows(parts._replace(scheme=kind).geturl(), timeout_s)
    raise BadDatabaseUrl("it must begin with sqlite:// or postgresql://")


def _sqlite(path: str, timeout_s: float) -> Rows:
    from teapot.authority.sqlite_rows import SqliteRows

    if not path.startswith("//"):
        raise BadDatabaseUrl("of SQLite it must name an absolute path, as in sqlite:////var/lib/alise/alise.db")
    return SqliteRows(path[1:], timeout_s)
