"""Commands that tell of space, and how what they print is read. Pure; what is read came from outside, and is bounded by who ran it.

What does not have the expected form, has two meanings or is marked as inexact is NotKnown: a wrong number is worse than none.
"""

from collections.abc import Callable, Iterator
from typing import Annotated

import msgspec

from teapot.space.amounts import NotKnown, Space, Usage

# What is in braces is replaced for each account and storage area (command.py). {device} and {mount} are of the mount that holds the root.
COMMANDS: dict[str, tuple[str, ...]] = {
    "lfs": ("/usr/bin/lfs", "quota", "-u", "{user}", "{mount}"),
    "mmlsquota": ("/usr/lpp/mmfs/bin/mmlsquota", "-Y", "-u", "{user}", "{device}"),
    "nfs": ("/usr/bin/quota", "-u", "-w", "-p", "-f", "{mount}"),
    "command": (),
}
GOOD: dict[str, tuple[int, ...]] = {"lfs": (0,), "mmlsquota": (0,), "nfs": (0, 1), "command": (0,)}  # quota(1) ends with 1: over a limit
PLACEHOLDERS = ("{user}", "{uid}", "{group}", "{gid}", "{root}", "{mount}", "{device}")
_KIB = 1024
_COLUMNS = ("Filesystem", "quota", "limit", "grace", "files", "quota", "limit", "grace")
_ROW = 1 + len(_COLUMNS)

Bytes = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a site's own command prints, as a JSON object."""

    used_bytes: Bytes
    available_bytes: Bytes
    files: Bytes | None = None
    timestamp: Bytes | None = None  # seconds since 1970: when it was so; None: now


def read(source: str, printed: bytes) -> Space | Usage:
    """NotKnown."""
    try:
        return _READERS[source](printed.decode())
    except (ValueError, IndexError, KeyError) as wrong:
        raise NotKnown(f"{source}: {wrong}: {ascii(printed[:200])}") from wrong


def told(printed: str | bytes) -> Told:
    try:
        return msgspec.json.decode(printed, type=Told)
    except msgspec.DecodeError as wrong:
        raise ValueError(str(wrong)) from wrong


def _own(printed: str) -> Space:
    one = told(printed)
    return Space(one.used_bytes, one.available_bytes)


def _nfs(printed: str) -> Usage:
    """quota(1) of somebody without a limit is one line."""
    if printed.count("\n") == 1 and printed.startswith("Disk quotas for ") and printed.rstrip().endswith(": none"):
        return Usage(None, None)
    return _table(printed)


def _table(printed: str) -> Usage:
    """lfs quota and quota -w -p: one table, one file system; a long name of it has a line of its own."""
    rows = list(_rows(printed))
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} file systems")
    used, soft, hard = (_blocks(cell) for cell in rows[0][1:4])
    return Usage(used, hard or soft or None)


def _rows(printed: str) -> Iterator[list[str]]:
    lines = iter(printed.splitlines())
    for line in lines:
        titles = line.split()
        if (*titles[:1], *titles[2:]) == _COLUMNS and titles[1] in ("kbytes", "blocks"):
            break
    else:
        raise ValueError("no table")
    cells: list[str] = []
    for line in lines:
        cells += line.split()
        if len(cells) > _ROW:
            raise ValueError("a line too long")
        if len(cells) == _ROW:
            yield cells
            cells = []
        elif len(cells) != 1:
            break  # another kind of line
    if len(cells) == 1:
        raise ValueError("a line too short")


def _blocks(cell: str) -> int:
    """An asterisk says that the limit is exceeded. Brackets (lfs): some server did not answer, the number is not to be trusted."""
    return _number(cell.removesuffix("*")) * _KIB


def _number(cell: str) -> int:
    if not (cell.isascii() and cell.isdecimal()) or len(cell) > 18:
        raise ValueError(f"{cell!r} is no number")
    return int(cell)


def _colons(printed: str) -> Usage:
    """mmlsquota -Y: a line of names and lines of values, colons between. Of several filesets the tightest counts."""
    found = [_fileset(row) for row in _named(printed) if row["quotaType"] in ("USR", "GRP", "FILESET")]
    if not found:
        raise ValueError("no quota")
    limited = [(limit - used, used, limit) for used, limit in found if limit]
    if not limited:
        return Usage(sum(used for used, _ in found), None)
    _, used, limit = min(limited)
    return Usage(used, limit)


def _named(printed: str) -> Iterator[dict[str, str]]:
    names: list[str] = []
    for line in printed.splitlines():
        cells = line.split(":")
        if cells[:1] != ["mmlsquota"] or len(cells) < 3:
            continue
        if cells[2] == "HEADER":
            names = cells
        else:
            yield dict(zip(names, cells, strict=False))


def _fileset(row: dict[str, str]) -> tuple[int, int]:
    """Used and limit, 0 for none. What is in doubt (handed out to nodes, perhaps used) counts as used."""
    used = _number(row["blockUsage"]) + _number(row["blockInDoubt"])
    return used * _KIB, (_number(row["blockLimit"]) or _number(row["blockQuota"])) * _KIB


_READERS: dict[str, Callable[[str], Space | Usage]] = {"lfs": _table, "nfs": _nfs, "mmlsquota": _colons, "command": _own}
