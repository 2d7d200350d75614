"""alise import-upstream DIRECTORY [--dry-run]: takes over the links and keys of ALISE 1, and says what it refuses and why."""

import argparse
from pathlib import Path
from typing import Any

from alise.configuration import Configuration


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    command = commands.add_parser("import-upstream", parents=[common], help="take over the alise_<site>.db files of ALISE 1")
    command.add_argument("directory", type=Path)
    command.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    command.set_defaults(run=_import)


def _import(configuration: Configuration, parsed: argparse.Namespace) -> int:
    raise NotImplementedError
