"""The site's commands that tell how much of an area is used and left: what is run for which area, before the worker's cage closes.

Placeholders are replaced once, by what the account and the area's root are; what the command prints is read in the cage (gauge.py).
"""

import os
from collections.abc import Callable, Iterable

from teapot.accounts import Account
from teapot.configuration import StorageArea
from teapot.space import command, placeholders
from teapot.space.amounts import NotKnown
from teapot.space.formats import COMMANDS, GOOD
from teapot.worker import area_roots
from teapot.worker.command_runner import Command, CommandFailed
from teapot.worker.refusal import Refusal
from teapot.worker.site_commands import SiteCommands


def of_areas(areas: Iterable[StorageArea], account: Account) -> dict[str, Command]:
    """By their names. An area that cannot be served, or lacks what a placeholder stands for, has none."""
    found = {}
    for area in areas:
        if area.space.source in COMMANDS:
            try:
                found[_name(area)] = _command(area, account)
            except (Refusal, NotKnown):
                continue
    return found


def asker(area: StorageArea, commands: SiteCommands | None) -> Callable[[], bytes]:
    """Asks for what the area's command prints: NotKnown when that cannot be had."""

    def ask() -> bytes:
        if commands is None or _name(area) not in commands:
            raise NotKnown("nobody runs the command")
        try:
            return commands.output(_name(area), b"")
        except CommandFailed as failed:
            raise NotKnown(str(failed)) from failed

    return ask


def _command(area: StorageArea, account: Account) -> Command:
    settings, root = area.space, area_roots.open_root(area, account)
    try:
        values = placeholders.values(account, area_roots.resolve(area.root, account), root, area.group)
    finally:
        os.close(root)
    arguments = command.filled(settings.command or COMMANDS[settings.source], values)
    return Command(arguments, settings.timeout_s, GOOD[settings.source])


def _name(area: StorageArea) -> str:
    return f"space of {area.name}"
