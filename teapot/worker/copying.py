"""COPY within the storage areas of one account: a file atomically, through an upload; a collection member by member.

Copied is what PROPFIND shows: files and collections, symbolic links as what they point to if that is inside the area. Other members
(FIFOs, links that lead out or nowhere) are left out, or refused when nothing may be lost (a MOVE to another file system). User
attributes, the dead properties of WebDAV, go along; owner, mode and ACL are those of a new file, but for the right to execute.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from teapot.worker import annotations, checksum, sparse
from teapot.worker.area import is_collection, is_file
from teapot.worker.ends import End, Manner, inspect_target, lies_in, refuse_overlap
from teapot.worker.hashing import Values
from teapot.worker.journal import Journal
from teapot.worker.place import DIRECTORY, Place, locked, make_directory
from teapot.worker.refusal import Refusal, refusing
from teapot.worker.removal import MAX_DEPTH, remove_tree
from teapot.worker.upload import Upload

_PIECE = 1 << 20


class Job(NamedTuple):
    manner: Manner
    journal: Journal
    deep: bool = True
    complete: bool = False  # a member that cannot be copied as it is ends it
    of_content: frozenset[str] = frozenset()  # attributes that say something of the source's content, and nothing of the copy's


def copy(source: End, target: End, manner: Manner, *, deep: bool, journal: Journal) -> bool:
    """True when nothing was at the target before. `terms`: the precondition is about the source, the rest about the target.

    A collection at the target is removed first (RFC 4918, section 9.8.4). A copy of a collection that fails is removed again.
    """
    return copy_as(source, target, Job(manner, journal, deep))


def copy_as(source: End, target: End, job: Job) -> bool:
    job = job._replace(of_content=source.area.content_attributes | target.area.content_attributes)
    with source.area.opened(source.path) as descriptor, refusing():
        status = os.fstat(descriptor)
        job.manner.terms.precondition(status)
        if is_collection(status):
            if job.deep and job.manner.empty_only and os.listdir(descriptor):
                raise Refusal("collection_not_empty", "its members may not all be copied")
            return _copy_collection(source, target, status, descriptor, job)
        if not is_file(status):
            raise Refusal("not_a_file")
        with _closing(source.area.directory(source.path.rpartition(b"/")[0])) as above:
            existing = _make_way(target, status, above, job)
        _copy_file(descriptor, target, job)
        return existing is None


def _make_way(target: End, source: os.stat_result, above_source: int, job: Job) -> os.stat_result | None:
    """What stood at the target. A collection, or whatever a collection is to replace, is removed; a file stays until it is replaced."""
    with target.area.target(target.path) as prospect:
        existing = inspect_target(target, prospect, source, job.manner)
        if existing is None:
            return None
        place = Place(prospect.directory, prospect.name)
        if is_collection(existing):
            refuse_overlap(source, above_source, prospect.directory, existing, job.deep)
            remove_tree(place)
        elif is_collection(source):
            with locked(place.directory):
                os.unlink(place.name, dir_fd=place.directory)
    return existing


# --- files


def _copy_file(descriptor: int, target: End, job: Job) -> None:
    status = os.fstat(descriptor)
    terms = job.manner.terms._replace(precondition=lambda existing: _may_stand(existing, job))
    upload = Upload(target.area, target.path, terms, job.journal, None if sparse.has_holes(status) else status.st_size)
    try:
        upload.attributes = _dead_properties(descriptor, job.of_content)
        upload.mtime_s = int(status.st_mtime) if job.complete else None
        _let_execute(upload.descriptor, status)
        _fill(upload, descriptor, status.st_size, checksum.stored(descriptor, status))
        after = os.fstat(descriptor)
        if (after.st_size, after.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
            raise Refusal("file_changed", "the source changed while it was copied")
        upload.commit(status.st_size, {})
    finally:
        upload.abort()


def _may_stand(existing: os.stat_result | None, job: Job) -> None:
    if existing is not None and not job.manner.overwrite:
        raise Refusal("exists_no_overwrite")


def _dead_properties(descriptor: int, of_content: frozenset[str]) -> dict[str, bytes]:
    with contextlib.suppress(OSError):
        names = [name for name in os.listxattr(descriptor) if name.startswith("user.") and name not in of_content]
        return {name: os.getxattr(descriptor, name) for name in names}
    return {}


def _let_execute(new: int, source: os.stat_result) -> None:
    """To whom the source lets execute it, if they may read the new file."""
    mode = os.fstat(new).st_mode & 0o777
    if granted := source.st_mode & (mode >> 2) & 0o111:
        os.fchmod(new, mode | granted)


def _fill(upload: Upload, source: int, size: int, known: Values) -> None:
    """Inside the storage, where it can do that and the checksum is known already; else by reading and writing. Holes stay holes."""
    if "adler32" in known:
        sparse.copy(source, upload.descriptor, 0, size)
        os.ftruncate(upload.descriptor, size)
        upload.filled(size, known)
        return
    at = 0
    for first, last in sparse.data(source, 0, size):
        upload.skip(first - at)
        at = first
        while at < last and (piece := os.pread(source, min(_PIECE, last - at), at)):
            upload.write(memoryview(piece))
            at += len(piece)
    upload.skip(size - at)


# --- collections


def _copy_collection(source: End, target: End, status: os.stat_result, descriptor: int, job: Job) -> bool:
    with target.area.target(target.path) as prospect:
        refuse_overlap(status, descriptor, prospect.directory, None, job.deep)
    existing = _make_way(target, status, descriptor, job)
    creation, durable = target.area.creation, job.manner.terms.durable
    with target.area.target(target.path) as prospect, prospect.place(creation, durable) as place:
        if not make_directory(place, creation):
            raise Refusal("busy", "somebody else has made the target meanwhile")
        _annotate(place, annotations.read(descriptor).unlocked())
        try:
            if job.deep:
                _copy_members(source, target, job, ())
        except (Refusal, OSError):
            with contextlib.suppress(Refusal):
                remove_tree(place)
            raise
    return existing is None


def _copy_members(source: End, target: End, job: Job, above: tuple[os.stat_result, ...]) -> None:
    if len(above) > MAX_DEPTH:
        raise Refusal("storage_error", f"more than {MAX_DEPTH} collections deep")
    with source.area.opened(source.path, DIRECTORY) as directory:
        here = os.fstat(directory)
        names = [os.fsencode(name) for name in os.listdir(directory)]
        links = {name for name in names if job.complete and _is_link(directory, name)}
    for name in names:
        if name in links:
            raise Refusal("not_a_file", "a symbolic link, which would have to stay one")
        _copy_member(_below(source, name), _below(target, name), job, (*above, here))


def _copy_member(source: End, target: End, job: Job, above: tuple[os.stat_result, ...]) -> None:
    try:
        descriptor = source.area.open(source.path, os.O_RDONLY)
    except Refusal as refusal:
        if job.complete or refusal.problem not in ("not_found", "leaves_area", "not_a_file"):
            raise
        return
    with _closing(descriptor):
        status = os.fstat(descriptor)
        if is_file(status):
            _copy_file(descriptor, target, job)
        elif job.complete and not is_collection(status):
            raise Refusal("not_a_file")
        properties = annotations.read(descriptor).unlocked()
    if is_collection(status) and not any(os.path.samestat(status, one) for one in above) and _make_member(status, target, properties):
        _copy_members(source, target, job, above)


def _make_member(source: os.stat_result, target: End, properties: annotations.Annotations) -> bool:
    """False: a link has led to what holds the target, and the copy would never end."""
    with target.area.target(target.path) as prospect:
        if lies_in(prospect.directory, source):
            return False
        place = Place(prospect.directory, prospect.name)
        made = make_directory(place, target.area.creation)
        _annotate(place, properties)
        return made


def _annotate(place: Place, properties: annotations.Annotations) -> None:
    """A new collection, with the dead properties of the one that is copied; its locks stay where they are (RFC 4918, section 7.6)."""
    if properties != annotations.NOTHING:
        with contextlib.suppress(Refusal):
            annotations.write(annotations.below_descriptor(place.directory, place.name), properties)


def _below(end: End, name: bytes) -> End:
    return End(end.area, end.path + b"/" + name if end.path else name)


def _is_link(directory: int, name: bytes) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)
