"""alise audit verify: whether the audit trail is as it was written."""

import argparse
import re
from typing import Any

from alise.commands.opened import answer, with_database
from alise.configuration import Configuration
from alise.storage.audit import verify


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    group = commands.add_parser("audit", help="the audit trail").add_subparsers(dest="action", required=True, metavar="ACTION")
    one = group.add_parser("verify", parents=[common], help="read all of it, and say whether it is as it was written")
    one.add_argument("--kept", type=_head, metavar="HEAD", help="a head that was printed before: it must be in the trail")
    one.set_defaults(run=_verify)


def _verify(configuration: Configuration, parsed: argparse.Namespace) -> int:
    found = with_database(configuration, lambda engine, _: verify(engine, parsed.kept or ""))
    whole = found.broken_at is None
    text = f"{found.records} records, whole; head {found.head}" if whole else f"record {found.broken_at} {found.reason}"
    answer(parsed.json, {"whole": whole, "records": found.records, "head": found.head, "broken_at": found.broken_at}, text)
    return 0 if whole else 1


def _head(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError("64 hexadecimal digits, as audit verify prints them")
    return text
