"""alise import-upstream DIRECTORY [--dry-run]: takes over the links and keys of ALISE 1, and says what it refuses and why.

ALISE 1 must be stopped. Its files are read only. Ends with 0 when everything was taken over, with 1 when something was refused (the rest
was taken over) or nothing could be done.
"""

import argparse
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from alise.commands.opened import Failed, answer, by_command_line, with_database
from alise.configuration import Configuration
from alise.storage.accounts import Keeping
from alise.storage.catalogue import Catalogue
from alise.storage.taking_over import Report, TakingOver
from alise.storage.upstream import CannotRead, Found, Site, read, site_files
from alise.storage.usernames import policies

_MOST_SHOWN = 1000


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    command = commands.add_parser("import-upstream", parents=[common], help="take over the alise_<site>.db files of ALISE 1")
    command.add_argument("directory", type=Path, metavar="DIRECTORY")
    command.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    command.set_defaults(run=_import)


def _import(configuration: Configuration, parsed: argparse.Namespace) -> int:
    try:
        found = _read(configuration, parsed.directory)
    except CannotRead as cannot:
        raise Failed(str(cannot)) from cannot

    async def take_over(engine: AsyncEngine, catalogue: Catalogue) -> list[Report]:
        keeping = Keeping(engine, catalogue, policies(configuration.sites()))
        issuers = {each.name: each.issuer for each in configuration.provider}
        taking = TakingOver(keeping, issuers, configuration.api.key_lifetime_days, by_command_line())
        return [await taking.site(site, each, dry_run=parsed.dry_run) for site, each in found.items()]

    reports = with_database(configuration, take_over)
    document = {"dry_run": parsed.dry_run, "sites": [_document(each) for each in reports]}
    answer(parsed.json, document, "\n".join(line for each in reports for line in _lines(each, parsed.dry_run)))
    return 1 if any(each.refused for each in reports) else 0


def _read(configuration: Configuration, directory: Path) -> dict[str, Found]:
    """All of it is read before anything is written."""
    rules, others = policies(configuration.sites()), [each.name for each in configuration.provider if not each.internal]
    files = site_files(directory)
    unknown = [name for name in files if name not in rules]
    if unknown:
        known = ", ".join(configuration.site_names())
        raise CannotRead(f"{files[unknown[0]]}: no site {unknown[0]!r} is configured (there are {known}): add it, or move the file away")
    return {name: read(path, Site(name, rules[name], others)) for name, path in files.items()}


def _document(report: Report) -> dict[str, Any]:
    return {**report._asdict(), "refused": [each._asdict() for each in report.refused]}


def _lines(report: Report, dry_run: bool) -> list[str]:
    done = "would be taken over" if dry_run else "taken over"
    counts = f"{report.accounts} accounts, {report.links} links, {report.keys} keys {done}"
    shown = [f"  refused {each.row}: {each.reason}" for each in report.refused[:_MOST_SHOWN]]
    more = [f"  … and {len(report.refused) - _MOST_SHOWN} more: --json lists all"] if len(report.refused) > _MOST_SHOWN else []
    return [f"{report.site}: {counts}; {report.present} were there; {len(report.refused)} refused", *shown, *more]
