"""What changes names: MKCOL, DELETE, MOVE and COPY within the storage areas of one account.

All of it on open directories and single names, under the lock of the directories that change.
"""

import errno
import os
import stat

from teapot.kernel import file_calls
from teapot.worker import copying, replace
from teapot.worker.area import Area, is_collection
from teapot.worker.copying import copy
from teapot.worker.ends import End, Manner, as_seen, inspect_target, may_remove_members, must_be_empty, refuse_overlap
from teapot.worker.journal import Journal
from teapot.worker.place import Place, Target, locked, make_directory, sync
from teapot.worker.refusal import Refusal, refusing
from teapot.worker.removal import remove_tree
from teapot.worker.upload import Precondition, Terms

__all__ = ("End", "copy", "delete", "make_collection", "move")

_NO_PARENT = {"not_found": "parent_missing"}
_OF_RENAME = {errno.EINVAL: "same_resource", errno.ENOTDIR: "storage_error", errno.EISDIR: "storage_error"}


class _NotByRename(Exception):
    """The target is on another file system, or can only be written in place."""


def make_collection(area: Area, path: bytes, precondition: Precondition = lambda status: None) -> None:
    """Its parent must exist, whatever the area says of uploads (RFC 4918, section 9.3.1)."""
    if not path:
        raise Refusal("already_exists")
    try:
        with area.place(path) as place, locked(place.directory):
            if (status := place.status()) is None:
                precondition(status)
            made = make_directory(place, area.creation)
    except Refusal as refusal:
        raise Refusal(_NO_PARENT.get(refusal.problem, refusal.problem), refusal.detail) from refusal
    if not made:
        raise Refusal("already_exists")


def delete(area: Area, path: bytes, terms: Terms) -> int:
    """How many names were removed. A symbolic link itself, never what it points to; a collection with all its members.

    Without recursive_delete only an empty collection goes.
    """
    with area.place(path) as place:
        with locked(place.directory), refusing():
            status = _existing(End(area, path), place, terms)
            if not is_collection(status):
                os.unlink(place.name, dir_fd=place.directory)
                return 1
            if not may_remove_members(area, terms):
                os.rmdir(place.name, dir_fd=place.directory)
                return 1
        return remove_tree(place)


def _existing(end: End, place: Place, terms: Terms) -> os.stat_result:
    """What the request is about, if its conditions hold."""
    status = place.status()
    if status is None:
        raise Refusal("not_found")
    terms.precondition(as_seen(end, status) if stat.S_ISLNK(status.st_mode) else status)
    return status


def move(source: End, target: End, manner: Manner, journal: Journal | None = None) -> bool:
    """True when nothing was at the target before. `terms`: the precondition is about the source, the rest about the target.

    Atomic within a file system, whatever is there. To another file system, or onto a file that can be written in place only, the
    source is copied and then removed.
    """
    terms = manner.terms
    if not source.path or not target.path:
        raise Refusal("area_root_fixed")
    try:
        with source.area.place(source.path) as old:
            _existing(source, old, terms)
            with target.area.target(target.path) as prospect:
                return _move(source, target, old, prospect, manner)
    except _NotByRename:
        created = copying.copy_as(source, target, copying.Job(manner, journal or Journal(None), complete=True))
        with source.area.place(source.path) as old, refusing():
            _remove(old, _existing(source, old, terms))
        return created


def _move(source: End, target: End, old: Place, prospect: Target, manner: Manner) -> bool:
    durable = manner.terms.durable
    _inspect(source, target, old, prospect, manner)  # before a parent is made
    with prospect.place(target.area.creation, durable) as new:
        with locked(old.directory, new.directory), refusing(_OF_RENAME):
            now = Target(new.directory, (), new.name)
            status, existing = _inspect(source, target, old, now, manner)
            swapped = _rename(old, new, status, existing)
        if swapped and existing is not None:
            with refusing():
                _remove(old, existing)
        sync(new.directory, durable)
        sync(old.directory, durable)
    return existing is None


def _inspect(source: End, target: End, old: Place, prospect: Target, manner: Manner) -> tuple[os.stat_result, os.stat_result | None]:
    """What stands at both ends, if the one may take the place of the other."""
    status = _existing(source, old, manner.terms)
    if stat.S_IFMT(status.st_mode) not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        raise Refusal("not_a_file")
    if manner.empty_only and is_collection(status):
        must_be_empty(old)
    existing = inspect_target(target, prospect, status, manner)
    refuse_overlap(status, old.directory, prospect.directory, existing)
    if existing is not None and not is_collection(existing) and not stat.S_ISLNK(existing.st_mode):
        place = Place(prospect.directory, prospect.name)
        replace.inspect(place, existing, target.area)
        if replace.hindrance(place, existing):
            raise _NotByRename
    return status, existing


def _rename(old: Place, new: Place, status: os.stat_result, existing: os.stat_result | None) -> bool:
    """True: what stood at the new name has the old one now, and is to be removed."""
    try:
        if existing is None:
            file_calls.rename_new(old.directory, old.name, new.directory, new.name)
        elif is_collection(existing) or is_collection(status):
            return _change_places(old, new, existing)
        else:
            os.rename(old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory)
    except FileExistsError as error:
        raise Refusal("busy", "somebody else has taken the target's name meanwhile") from error
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        if stat.S_ISLNK(status.st_mode):
            raise Refusal("not_a_file", "a symbolic link cannot go to another file system") from error
        raise _NotByRename from error
    return False


def _change_places(old: Place, new: Place, existing: os.stat_result) -> bool:
    """So that what is removed has already been replaced; where the file system cannot do that, it is removed before."""
    try:
        file_calls.exchange(old.directory, old.name, new.directory, new.name)
    except OSError as error:
        if error.errno not in file_calls.UNSUPPORTED:
            raise
        _remove(new, existing)
        os.rename(old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory)
        return False
    return True


def _remove(place: Place, status: os.stat_result) -> None:
    if is_collection(status):
        remove_tree(place)
    else:
        os.unlink(place.name, dir_fd=place.directory)
