"""A name in an open directory: everything that changes names works on these, never on paths.

Also the lock that all changes in a directory take (flock of the directory itself), and how a collection is made.
"""

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from teapot.kernel.openat2 import open_beneath
from teapot.worker.creation import Creation
from teapot.worker.refusal import Refusal, refusal_of

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_PATIENCE_S = 10.0  # for the lock of a directory
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.0002, 0.01
_QUEUES = tuple(threading.Lock() for _ in range(64))  # directories share them by chance, at worst they wait a little for each other

# Of flock: a network file system without locks, or with those of fcntl only, which want a file open for writing.
_NO_LOCKS = frozenset((errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.EISDIR))


class Place(NamedTuple):
    directory: int
    name: bytes

    def status(self) -> os.stat_result | None:
        """Of what stands there, symbolic links not followed; None: nothing."""
        try:
            return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refusal_of(error) from error


class Target(NamedTuple):
    """Where something is to be written: the nearest collection that exists, and those below it that are still to be made."""

    directory: int
    missing: tuple[bytes, ...]
    name: bytes

    def status(self) -> os.stat_result | None:
        return None if self.missing else Place(self.directory, self.name).status()

    @contextlib.contextmanager
    def place(self, creation: Creation, durable: bool) -> Iterator[Place]:
        """With the missing collections made. When what follows fails they go again, unless somebody uses them already."""
        if not self.missing:
            yield Place(self.directory, self.name)
            return
        made: list[Place] = []
        with contextlib.ExitStack() as descriptors:
            directory = self.directory
            try:
                for segment in self.missing:
                    place = Place(directory, segment)
                    if make_directory(place, creation):
                        made.append(place)
                        sync(directory, durable)
                    directory = _enter(place)
                    descriptors.callback(os.close, directory)
                yield Place(directory, self.name)
            except BaseException:
                for place in reversed(made):
                    with contextlib.suppress(OSError):
                        os.rmdir(place.name, dir_fd=place.directory)
                raise


def open_directory(root: int, path: bytes, *, links: bool = True) -> int:
    """OSError as open(2). A directory that may be written and entered but not read is as good, without a lock."""
    try:
        return open_beneath(root, path, DIRECTORY, links=links)
    except PermissionError:
        return open_beneath(root, path, os.O_PATH | os.O_DIRECTORY, links=links)


def _enter(place: Place) -> int:
    try:
        return open_directory(place.directory, place.name)
    except OSError as error:
        raise refusal_of(error, {errno.ENOENT: "parent_missing"}) from error


def make_directory(place: Place, creation: Creation) -> bool:
    """False: the name is taken."""
    try:
        creation.make_directory(place.name, place.directory)
    except FileExistsError:
        return False
    except OSError as error:
        raise refusal_of(error, {errno.ENOENT: "parent_missing"}) from error
    return True


def sync(directory: int, durable: bool = True) -> None:
    """Names in this directory survive a power failure from now on. Without permission to read it this cannot be had."""
    if not durable:
        return
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.EINVAL):  # EBADF: an O_PATH descriptor; EINVAL: some FUSE file systems
            raise refusal_of(error) from error


@contextlib.contextmanager
def locked(*directories: int) -> Iterator[None]:
    """One at a time changes names and attributes in these directories; `busy` when a lock is not to be had in time.

    Threads of this worker queue for a lock of the process first: nobody is told when an flock becomes free, one has to ask again.
    """
    different = {(status.st_dev, status.st_ino): one for one in directories for status in (os.fstat(one),)}
    with contextlib.ExitStack() as held:
        deadline = time.monotonic() + _PATIENCE_S
        for number in sorted({hash(identity) % len(_QUEUES) for identity in different}):  # all in the same order: no deadlock
            _queue(_QUEUES[number], deadline, held)
        for identity in sorted(different):
            _lock(different[identity], deadline, held)
        yield


def _queue(queue: threading.Lock, deadline: float, held: contextlib.ExitStack) -> None:
    if not queue.acquire(timeout=max(0.0, deadline - time.monotonic())):
        raise Refusal("busy", "another request of this account holds the directory's lock")
    held.callback(queue.release)


def _lock(directory: int, deadline: float, held: contextlib.ExitStack) -> None:
    try:
        descriptor = os.open(".", DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    except PermissionError:
        return  # not ours to read: names still change atomically
    except OSError as error:
        raise refusal_of(error, {errno.ENOENT: "parent_missing"}) from error
    held.callback(os.close, descriptor)
    pause = _FIRST_PAUSE_S
    while not _try_lock(descriptor):
        if time.monotonic() > deadline:
            raise Refusal("busy", "another process holds the directory's lock")
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE_S, 1.5 * pause)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise refusal_of(error) from error
    return True
