"""What changes names: MKCOL, DELETE, MOVE and COPY within the storage areas of one account."""

import contextlib
import os
from typing import NamedTuple

from teapot.kernel import file_calls
from teapot.worker import replace
from teapot.worker.area import Area, Place, is_collection, is_file, locked, make_directory
from teapot.worker.journal import Journal
from teapot.worker.refusal import Refusal, refusal_of
from teapot.worker.upload import Terms, Upload

_PIECE = 1 << 20
_MAX_DEPTH = 512  # of a collection that is deleted or copied


class End(NamedTuple):
    """One end of a MOVE or COPY."""

    area: Area
    path: bytes


def make_collection(area: Area, path: bytes) -> None:
    if not path:
        raise Refusal("already_exists")
    with area.place(path) as place:
        try:
            make_directory(place, area.umask)
        except FileExistsError:
            raise Refusal("already_exists") from None


def delete(area: Area, path: bytes, terms: Terms) -> None:
    """A symbolic link itself, never what it points to; a collection with all its members, unless the area forbids that."""
    with area.place(path) as place:
        status = place.status()
        if status is None:
            raise Refusal("not_found")
        terms.precondition(status)
        try:
            if not is_collection(status):
                os.unlink(place.name, dir_fd=place.directory)
            elif area.settings.recursive_delete == "always":
                _remove_tree(place, 0)
            else:
                os.rmdir(place.name, dir_fd=place.directory)
        except OSError as error:
            raise refusal_of(error) from error


def _remove_tree(place: Place, depth: int) -> None:
    """Members first; what cannot be removed ends it, and stays with everything above it."""
    if depth > _MAX_DEPTH:
        raise Refusal("storage_error", f"more than {_MAX_DEPTH} collections deep")
    directory = _open_directory(place)
    try:
        with os.scandir(directory) as members:
            for member in members:
                below = Place(directory, os.fsencode(member.name))
                if member.is_dir(follow_symlinks=False):
                    _remove_tree(below, depth + 1)
                else:
                    os.unlink(below.name, dir_fd=directory)
    finally:
        os.close(directory)
    os.rmdir(place.name, dir_fd=place.directory)


def move(source: End, target: End, *, overwrite: bool, terms: Terms) -> bool:
    """True when nothing was at the target before. Atomic, whatever is there."""
    _refuse_overlap(source, target)
    parents = target.area.settings.create_parents
    with source.area.place(source.path) as old, target.area.place(target.path, make_parents=parents) as new:
        status = old.status()
        if status is None:
            raise Refusal("not_found")
        terms.precondition(status)
        with locked(new.directory):
            existing = _inspect_target(new, status, target.area, overwrite, terms.may_replace)
            try:
                _rename(old, new, existing)
            except OSError as error:
                raise refusal_of(error) from error
    return existing is None


def _inspect_target(place: Place, source: os.stat_result, area: Area, overwrite: bool, may_replace: bool) -> os.stat_result | None:
    existing = place.status()
    if existing is None:
        return None
    if not overwrite:
        raise Refusal("exists_no_overwrite")
    if not may_replace:
        raise Refusal("replace_not_in_scope")
    if os.path.samestat(existing, source):
        raise Refusal("same_resource")
    if not is_collection(existing):
        replace.inspect(place, existing, area)
    return existing


def _rename(old: Place, new: Place, existing: os.stat_result | None) -> None:
    if existing is None:
        with contextlib.suppress(FileExistsError):
            file_calls.rename_new(old.directory, old.name, new.directory, new.name)
            return
    if existing is not None and is_collection(existing):
        _remove_tree(new, 0)  # RFC 4918, 9.9.3: as a DELETE of the target before
    os.rename(old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory)


def copy(source: End, target: End, *, overwrite: bool, deep: bool, terms: Terms, journal: Journal) -> bool:
    """True when nothing was at the target before. A file is replaced atomically, a collection is not."""
    _refuse_overlap(source, target)
    status = source.area.status(source.path)
    terms.precondition(status)
    existed = _refuse_target(target, overwrite, terms.may_replace)
    if is_collection(status):
        _copy_tree(source, target, deep, terms, journal, 0)
    elif is_file(status):
        _copy_file(source, target, terms, journal)
    else:
        raise Refusal("not_a_file")
    return not existed


def _refuse_target(target: End, overwrite: bool, may_replace: bool) -> bool:
    with target.area.place(target.path, make_parents=target.area.settings.create_parents) as place:
        existing = place.status()
        if existing is None:
            return False
        if not overwrite:
            raise Refusal("exists_no_overwrite")
        if not may_replace:
            raise Refusal("replace_not_in_scope")
        if is_collection(existing):
            with _translated():
                _remove_tree(place, 0)
        return True


def _copy_file(source: End, target: End, terms: Terms, journal: Journal) -> None:
    with source.area.opened(source.path) as descriptor:
        status = os.fstat(descriptor)
        if not is_file(status):
            raise Refusal("not_a_file")
        anything_goes = Terms(terms.may_replace, lambda existing: None, terms.durable)
        upload = Upload(target.area, target.path, anything_goes, journal, status.st_size)
        try:
            while piece := os.read(descriptor, _PIECE):
                upload.write(memoryview(piece))
            upload.commit(upload.received, {})
        finally:
            upload.abort()


def _copy_tree(source: End, target: End, deep: bool, terms: Terms, journal: Journal, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise Refusal("storage_error", f"more than {_MAX_DEPTH} collections deep")
    make_collection(target.area, target.path)
    if not deep:
        return
    with source.area.opened(source.path, os.O_RDONLY | os.O_DIRECTORY) as directory:
        with _translated():
            members = [(os.fsencode(member.name), member.is_dir(follow_symlinks=False)) for member in os.scandir(directory)]
    for name, collection in members:
        below = End(source.area, source.path + b"/" + name), End(target.area, target.path + b"/" + name)
        if collection:
            _copy_tree(*below, deep, terms, journal, depth + 1)
        else:
            _copy_file(*below, terms, journal)


def _refuse_overlap(source: End, target: End) -> None:
    """Neither onto itself, nor into itself, nor onto what holds it. Roots stay."""
    if not source.path or not target.path:
        raise Refusal("area_root_fixed")
    if source.area is not target.area:
        return
    one, other = source.path.split(b"/"), target.path.split(b"/")
    shorter = min(len(one), len(other))
    if one[:shorter] == other[:shorter]:
        raise Refusal("same_resource")


def _open_directory(place: Place) -> int:
    return os.open(place.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.directory)


@contextlib.contextmanager
def _translated():  # type: ignore[no-untyped-def]
    try:
        yield
    except OSError as error:
        raise refusal_of(error) from error
