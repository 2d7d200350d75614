"""The members of a collection, one after the other: what a listing and PROPFIND with Depth 1 tell.

Only files and collections are members. A symbolic link stands for what it points to, if that is inside the storage area; names that are
hidden because their upload is not complete are left out.
"""

import os
from collections.abc import Iterator
from typing import NamedTuple

from teapot.worker.area import Area, is_collection, is_file
from teapot.worker.refusal import Refusal

_HIDDEN = ".teapot-"
_HIDDEN_LENGTH = len(_HIDDEN) + 24


class Member(NamedTuple):
    name: bytes
    collection: bool
    status: os.stat_result | None  # only if asked for


def members(area: Area, path: bytes, directory: int, need_status: bool) -> Iterator[Member]:
    """directory: open for reading, and to stay open while this runs."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if len(entry.name) == _HIDDEN_LENGTH and entry.name.startswith(_HIDDEN):
                continue
            if entry.is_symlink():
                member = _linked(area, path, os.fsencode(entry.name))
            else:
                member = _member(entry, need_status)
            if member is not None:
                yield member


def _member(entry: os.DirEntry[str], need_status: bool) -> Member | None:
    name = os.fsencode(entry.name)
    collection = entry.is_dir(follow_symlinks=False)
    if not collection and not entry.is_file(follow_symlinks=False):
        return None
    try:
        return Member(name, collection, entry.stat(follow_symlinks=False) if need_status else None)
    except FileNotFoundError:
        return None  # it went away in this moment


def _linked(area: Area, path: bytes, name: bytes) -> Member | None:
    try:
        status = area.status(path + b"/" + name if path else name)
    except Refusal:
        return None
    return Member(name, is_collection(status), status) if is_collection(status) or is_file(status) else None
