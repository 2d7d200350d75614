"""The programs of the site's that workers will run as the accounts that they serve: each must be there, and be for root alone to change."""

import os
import stat
from collections.abc import Iterable, Iterator

from teapot.configuration import StorageArea
from teapot.master.service_accounts import CannotServe
from teapot.space.formats import COMMANDS


def refuse_unsafe(areas: Iterable[StorageArea]) -> None:
    """CannotServe: whoever could change such a program could act as everybody who is served."""
    for area in areas:
        for key, program in _programs(area):
            if wrong := _why_not(program):
                raise CannotServe(f"storage_area {area.name}: {key}: {program}: {wrong}")


def _programs(area: StorageArea) -> Iterator[tuple[str, str]]:
    if area.residency and area.residency.command:
        yield "residency.command", area.residency.command[0]
    if area.space.source in COMMANDS:
        yield "space.command", (area.space.command or COMMANDS[area.space.source])[0]


def _why_not(program: str) -> str | None:
    try:
        status = os.stat(program)
    except OSError as failed:
        return f"cannot be used: {failed.strerror}"
    if not stat.S_ISREG(status.st_mode) or not status.st_mode & stat.S_IXOTH:
        return "is not a program that everybody may execute"
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to another account, uid {status.st_uid}: chown it to root"
    return "others can change it: chmod go-w it" if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else None
