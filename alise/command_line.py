"""alise serve | check | keys | links | audit | import-upstream | --version: the names that people's scripts rely on.

Exit statuses: 0, 1 when something cannot be done, 2 for a wrong command line, 78 (EX_CONFIG) for a configuration that is refused.
Each command answers in words, or with --json in one JSON document on standard output.
"""

import argparse
import asyncio
import gc
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

import teapot
from alise.commands import audit, import_upstream, keys, links
from alise.commands.opened import Failed, database_url, read_secrets
from alise.configuration import Configuration
from alise.configuration_rules import complaints
from common.configuration import BadConfiguration, Loaded, load

BAD_CONFIGURATION = 78  # EX_CONFIG
_DEFAULT = Path("/etc/alise/alise.toml")
_CHATTY = ("aiosqlite", "alembic", "asyncio")  # at debug the first tells every value that is stored


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    words = sys.argv[1:] if arguments is None else arguments
    if not all(_is_text(word) for word in words):
        parser.error("a word is no UTF-8")
    parsed = parser.parse_args(words)
    try:
        configuration = read(parsed.config).value
        return int(parsed.run(configuration, parsed))
    except BadConfiguration as bad:
        _say(bad.complaints)
        return BAD_CONFIGURATION
    except Failed as failed:
        _say([str(failed)])
        return 1


def _is_text(word: str) -> bool:
    """Bytes that are no UTF-8 are half a surrogate pair, which no database takes."""
    return not any("\ud800" <= letter <= "\udfff" for letter in word)


def read(path: Path) -> Loaded[Configuration]:
    """BadConfiguration with all complaints there are."""
    loaded = load(path, Configuration)
    loaded.refuse(complaints(loaded.value))
    return loaded


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="alise", description="People link their accounts; services ask who is who.")
    parser.add_argument("--version", action="version", version=f"alise {teapot.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, default=_DEFAULT, metavar="FILE", help=f"default: {_DEFAULT}; conf.d/*.toml beside it adds")
    common.add_argument("--json", action="store_true", help="answer in JSON")
    commands.add_parser("serve", parents=[common], help="serve until SIGTERM; SIGHUP reads the certificate again").set_defaults(run=_serve)
    commands.add_parser("check", parents=[common], help="say whether the configuration can be served").set_defaults(run=_check)
    for group in (keys, links, audit, import_upstream):
        group.add_to(commands, common)
    return parser


def _serve(configuration: Configuration, parsed: argparse.Namespace) -> int:
    import uvloop

    from alise.serve import CannotServe, serve
    from alise.storage.database import open_engine

    logging.basicConfig(level=configuration.server.log_level.upper(), format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    secrets = read_secrets(configuration)

    gc.freeze()  # what was imported stays: it need not be looked through again and again

    async def run() -> None:
        await serve(configuration, open_engine(database_url(configuration)), secrets)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())
    except CannotServe as cannot:
        raise Failed(str(cannot)) from cannot
    return 0


def _check(configuration: Configuration, parsed: argparse.Namespace) -> int:
    """Reads what it would read, and connects to nothing."""
    from alise.serve import CannotServe, tls_of

    read_secrets(configuration)
    database_url(configuration)
    try:
        tls_of(configuration.server)
    except CannotServe as cannot:
        raise Failed(str(cannot)) from cannot
    sites = ", ".join(each.name for each in configuration.sites())
    others = ", ".join(each.name for each in configuration.provider if not each.internal) or "none yet"
    print(f"ok: {parsed.config}")
    print(f"{configuration.server.public_url} on {', '.join(configuration.server.listen)}: sites {sites}; other providers {others}")
    return 0


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"alise: {line}", file=sys.stderr)
