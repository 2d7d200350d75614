"""What commands need before they begin: the database's URL, the providers' secrets, the database itself. And how they answer."""

import asyncio
import json
import os
import pwd
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from alembic.util.exc import CommandError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from alise.configuration import Configuration
from alise.configuration_rules import why_not_database
from alise.storage.catalogue import Catalogue, settle
from alise.storage.database import migrate, open_engine
from common.configuration import BadConfiguration
from common.secret_files import secret

T = TypeVar("T")
LATER_VERSION = "the database is of a later version of ALISE: install that, or go back to a copy from before"
_STATE = "/var/lib/alise"


class Failed(Exception):
    """The text is for the administrator."""


def database_url(configuration: Configuration) -> str:
    """BadConfiguration when it cannot be read or is none."""
    database = configuration.database
    if database.url_file:
        url = secret(database.url_file, "database.url_file")
        if wrong := why_not_database(url):
            raise BadConfiguration(f"database.url_file: its content {wrong}")
        return url
    return database.url or f"sqlite+aiosqlite:///{Path(os.environ.get('STATE_DIRECTORY', _STATE)) / 'alise.db'}"


def read_secrets(configuration: Configuration) -> dict[str, str]:
    """BadConfiguration with all that cannot be read."""
    found: dict[str, str] = {}
    complaints: list[str] = []
    for number, each in enumerate(configuration.provider):
        try:
            found[each.name] = secret(each.client_secret_file, f"provider[{number}].client_secret_file")
        except BadConfiguration as bad:
            complaints += bad.complaints
    if complaints:
        raise BadConfiguration(*complaints)
    return found


def with_database(configuration: Configuration, work: Callable[[AsyncEngine, Catalogue], Awaitable[T]]) -> T:
    """As the service, it makes the database and brings it up to this version. Failed."""

    async def run() -> T:
        engine = open_engine(database_url(configuration))
        try:
            await migrate(engine)
            return await work(engine, await settle(engine, configuration.site_names(), configuration.issuers()))
        except CommandError as failed:  # of Alembic, which does not know the version that the tables have
            raise Failed(f"{LATER_VERSION}: {failed}") from failed
        except (SQLAlchemyError, OSError) as failed:
            raise Failed(f"the database: {str(getattr(failed, 'orig', None) or failed).splitlines()[0][:300]}") from failed
        finally:
            await engine.dispose()

    return asyncio.run(run())


def answer(as_json: bool, document: Any, text: str) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False) if as_json else text)


def by_command_line() -> str:
    """For the audit trail: the account that runs the command, and who became it, as far as sudo says."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # an account without an entry, in a container
        name = f"uid {os.getuid()}"
    by_sudo = os.environ.get("SUDO_USER", "")[:64]
    return f"command line: {name}" + (f", by sudo of {by_sudo!r}" if by_sudo else "")


def when(seconds: float | None) -> str:
    import datetime

    return "" if seconds is None else f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
