"""Which write locks cover a resource, and whether a request that wants to change it has brought their tokens.

A lock is kept with the resource that it was taken on (annotations.py); for what lies below, the collections above are asked on the way up.
Locks in a collection that the account may not read cannot be seen; they are advice among WebDAV clients, permissions are the kernel's.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from teapot.worker import annotations
from teapot.worker.annotations import Annotations, Lock
from teapot.worker.area import Area
from teapot.worker.place import DIRECTORY
from teapot.worker.refusal import Refusal
from teapot.worker.removal import MAX_DEPTH

ITSELF = os.O_PATH


class Held(NamedTuple):
    """A lock, and where it was taken."""

    path: bytes
    lock: Lock


class Bearer(NamedTuple):
    """Who makes the request, and the lock tokens that came with it."""

    principal: str
    tokens: Collection[str]

    def opens(self, lock: Lock) -> bool:
        return lock.principal == self.principal and lock.token in self.tokens


def kept(area: Area, path: bytes) -> Annotations:
    """Nothing there, or nothing that we may see: nothing kept."""
    try:
        with area.opened(path, ITSELF) as descriptor:
            return annotations.read(annotations.below_descriptor(descriptor))
    except Refusal:
        return annotations.NOTHING


def storable(area: Area, descriptor: int) -> bool:
    """Whether this very storage can keep locks and properties."""
    return not area.settings.read_only and annotations.supported(annotations.below_descriptor(descriptor))


def on(area: Area, path: bytes) -> list[Held]:
    return [Held(path, lock) for lock in kept(area, path).locks]


def above(area: Area, path: bytes) -> Iterator[Held]:
    """Those of collections above that reach down to here."""
    while path:
        path = path.rpartition(b"/")[0]
        yield from (held for held in on(area, path) if held.lock.deep)


def covering(area: Area, path: bytes) -> list[Held]:
    return [*on(area, path), *above(area, path)]


def below(area: Area, path: bytes, most: int | None = None) -> Iterator[Held]:
    """Those of members, at any depth. Refusal lock_too_wide when there are more than `most` members to ask."""
    try:
        with area.opened(path, DIRECTORY) as directory:
            yield from _below(directory, path, _Left(most), 0)
    except Refusal as refusal:
        if refusal.problem not in ("not_found", "is_file", "permission_denied"):
            raise


class _Left:
    def __init__(self, most: int | None) -> None:
        self.most = most

    def take(self) -> None:
        if self.most is not None:
            self.most -= 1
            if self.most < 0:
                raise Refusal("lock_too_wide")


def _below(directory: int, path: bytes, left: _Left, depth: int) -> Iterator[Held]:
    collections = []
    with os.scandir(directory) as members:
        for member in members:
            left.take()
            name = os.fsencode(member.name)
            if member.is_symlink():
                continue
            here = path + b"/" + name if path else name
            for lock in annotations.read(annotations.below_descriptor(directory, name)).locks:
                yield Held(here, lock)
            if member.is_dir(follow_symlinks=False):
                collections.append((name, here))
    if depth < MAX_DEPTH:
        for name, here in collections:
            yield from _inside(directory, name, here, left, depth + 1)


def _inside(above: int, name: bytes, path: bytes, left: _Left, depth: int) -> Iterator[Held]:
    try:
        directory = os.open(name, DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    except OSError:  # gone meanwhile, or not ours to see
        return
    try:
        yield from _below(directory, path, left, depth)
    finally:
        os.close(directory)


def may_write(area: Area, path: bytes, bearer: Bearer, *, exists: bool, members: list[Held] | None = None) -> None:
    """Refusal locked, unless every lock that protects this resource has been opened.

    `exists`: false when it is to be made. `members`: it is removed, or something is moved or copied in its place, and these are the
    locks below it. Both change the collection that holds it: a lock on that collection alone counts as well (RFC 4918, section 7.4).
    """
    held = covering(area, path) + (members or [])
    if members is not None or not exists:
        held += _of_nearest_collection(area, path)
    _must_be_open(held, bearer.opens)


def _of_nearest_collection(area: Area, path: bytes) -> list[Held]:
    while path:
        path = path.rpartition(b"/")[0]
        if _is_there(area, path):
            return on(area, path)
    return []


def _is_there(area: Area, path: bytes) -> bool:
    try:
        area.status(path)
    except Refusal:
        return False
    return True


def _must_be_open(held: list[Held], opens: Callable[[Lock], bool]) -> None:
    """Of several shared locks on a resource one is enough."""
    opened = {one.path for one in held if opens(one.lock)}
    for one in held:
        if one.path not in opened:
            raise Refusal("locked", f"by {one.lock.principal} until {one.lock.expires:.0f}")


def settle(area: Area, path: bytes, locks: tuple[Lock, ...], released: Collection[bytes]) -> None:
    """After a MOVE or COPY to `path`: locks do not come along (RFC 4918, section 7.6); those that the target had stay with its name."""
    for below_it in sorted({*released, b""} if locks else released):
        where = path + b"/" + below_it if below_it else path
        with contextlib.suppress(Refusal):  # of a member that belongs to somebody else: it expires there
            _keep_locks(area, where, () if below_it else locks)


def _keep_locks(area: Area, path: bytes, locks: tuple[Lock, ...]) -> None:
    with area.opened(path, ITSELF) as descriptor:
        file = annotations.below_descriptor(descriptor)
        annotations.write(file, Annotations(locks, annotations.read(file).properties))
