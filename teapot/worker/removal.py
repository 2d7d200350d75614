"""DELETE of a whole collection: members first, no symbolic link followed, stopped by the first one that cannot be removed."""

import os

from teapot.worker.place import DIRECTORY, Place
from teapot.worker.refusal import Refusal, refusal_of

MAX_DEPTH = 400  # of a collection that is removed or copied; each level takes a descriptor and two frames
_PASSES = 3  # over a collection that others write to meanwhile


def remove_tree(place: Place) -> int:
    """How many names were removed. What could not be, and what holds it, stays; the refusal's detail says how far it came."""
    gone = _Count()
    try:
        _remove_collection(place, gone, 0)
    except OSError as error:
        refusal = refusal_of(error)
        raise Refusal(refusal.problem, f"{refusal.detail}; {gone.names} names were removed before") from error
    return gone.names


class _Count:
    names = 0


def _remove_collection(place: Place, gone: _Count, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Refusal("storage_error", f"more than {MAX_DEPTH} collections deep; {gone.names} names were removed before")
    directory = os.open(place.name, DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.directory)
    try:
        for _ in range(_PASSES):
            if not _remove_members(directory, gone, depth):
                break
    finally:
        os.close(directory)
    os.rmdir(place.name, dir_fd=place.directory)
    gone.names += 1


def _remove_members(directory: int, gone: _Count, depth: int) -> bool:
    """False: there was none."""
    collections, before = [], gone.names
    with os.scandir(directory) as members:
        for member in members:
            name = os.fsencode(member.name)
            if member.is_dir(follow_symlinks=False):
                collections.append(name)
            else:
                os.unlink(name, dir_fd=directory)
                gone.names += 1
    for name in collections:
        _remove_collection(Place(directory, name), gone, depth + 1)
    return gone.names > before
