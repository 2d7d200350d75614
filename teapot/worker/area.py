"""A storage area as this worker's account sees it: everything is reached relative to the descriptor of its root.

Paths are bytes, relative to the root, segments joined by "/"; b"" is the root itself. No path strings are joined and compared: that
nothing leads out of the area is the kernel's business (kernel/openat2.py).
"""

import contextlib
import errno
import fcntl
import grp
import os
import stat
import time
from collections.abc import Iterator
from typing import NamedTuple

from teapot.accounts import Account
from teapot.configuration import StorageArea
from teapot.kernel.openat2 import open_beneath
from teapot.worker.refusal import Refusal, refusal_of

# A FIFO must not block us, a terminal must not become ours.
SAFELY = os.O_NONBLOCK | os.O_NOCTTY
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_PATIENCE_S = 10.0  # for the lock of a directory


class Place(NamedTuple):
    """A name in an open directory: all that changes names works on these."""

    directory: int
    name: bytes

    def status(self) -> os.stat_result | None:
        """Of what stands there, symbolic links not followed; None: nothing."""
        try:
            return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)
        except FileNotFoundError:
            return None


class Area:
    def __init__(self, settings: StorageArea, root: int) -> None:
        self.settings = settings
        self.name = settings.name
        self.root = root
        self.umask = int(settings.umask, 8)
        self.device = os.fstat(root).st_dev

    def open(self, path: bytes, flags: int) -> int:
        """Refusal as the kernel refuses."""
        _check(path)
        try:
            return open_beneath(self.root, path, flags if flags & os.O_PATH else flags | SAFELY)
        except OSError as error:
            raise refusal_of(error) from error

    @contextlib.contextmanager
    def opened(self, path: bytes, flags: int = os.O_RDONLY) -> Iterator[int]:
        descriptor = self.open(path, flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def status(self, path: bytes) -> os.stat_result:
        """Of the file or collection at the path, symbolic links followed as far as they stay inside."""
        with self.opened(path, os.O_PATH) as descriptor:
            return os.fstat(descriptor)

    @contextlib.contextmanager
    def place(self, path: bytes, *, make_parents: bool = False) -> Iterator[Place]:
        """The parent collection, open, and the last segment. parent_missing when there is no such collection."""
        _check(path)
        parent, _, name = path.rpartition(b"/")
        if not name:
            raise Refusal("area_root_fixed")
        directory = self._parent(parent, make_parents)
        try:
            yield Place(directory, name)
        finally:
            os.close(directory)

    def _parent(self, path: bytes, make: bool) -> int:
        try:
            return open_beneath(self.root, path, _DIRECTORY)
        except OSError as error:
            if error.errno == errno.ENOENT and make:
                return self._make_parents(path)
            missing = {errno.ENOENT: "parent_missing", errno.ENOTDIR: "is_file"}.get(error.errno or 0)
            raise (Refusal(missing) if missing else refusal_of(error)) from error

    def _make_parents(self, path: bytes) -> int:
        """Several requests may make the same collections at the same time."""
        made = b""
        for segment in path.split(b"/"):
            above, made = made, made + b"/" + segment if made else segment
            with contextlib.suppress(FileExistsError), self.opened(above, _DIRECTORY) as directory:
                make_directory(Place(directory, segment), self.umask)
        return self.open(path, _DIRECTORY)


def make_directory(place: Place, umask: int) -> None:
    """As mkdir(1) with the area's umask: a default ACL of the parent takes the umask's place, a setgid bit is passed on."""
    os.umask(umask)  # of this thread only (see threads.py)
    try:
        os.mkdir(place.name, dir_fd=place.directory)
    except FileExistsError:
        raise
    except OSError as error:
        raise refusal_of(error) from error


@contextlib.contextmanager
def locked(directory: int) -> Iterator[None]:
    """One at a time changes names and attributes in a directory; `busy` when the lock is not to be had in time."""
    descriptor = os.open(".", _DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Refusal("busy", "the directory's lock is held by another") from None
            time.sleep(0.005)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL):
                raise refusal_of(error) from error
            return  # a file system without locks: names still change atomically
        else:
            return


def is_collection(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode)


def is_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode)


def _check(path: bytes) -> None:
    """The gateway has refused these already; a worker does not rely on it."""
    if path and (b"\0" in path or any(segment in (b"", b".", b"..") for segment in path.split(b"/"))):
        raise Refusal("bad_path")


def open_areas(areas: tuple[StorageArea, ...], account: Account) -> dict[str, Area | Refusal]:
    """Those that this account may be served in, with their roots open, or why they cannot be."""
    eligible = (area for area in areas if area.account in ("identity", account.name) or area.anonymous_account == account.name)
    return {area.name: _open_root(area, account) for area in eligible}


def _open_root(area: StorageArea, account: Account) -> Area | Refusal:
    try:
        root = resolve_root(area.root, account)
        if area.create_root:
            with contextlib.suppress(FileExistsError):
                os.makedirs(root, mode=0o777 & ~int(area.umask, 8))
        return Area(area, os.open(root, _DIRECTORY | os.O_CLOEXEC))
    except Refusal as refusal:
        return refusal
    except OSError as error:
        missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
        return Refusal("area_root_missing" if missing else "area_root_refused", str(error))


def resolve_root(template: str, account: Account) -> str:
    """{user}, {home} and {group} replaced; one that is empty, or that would add segments of its own, is refused."""
    values = {"{user}": account.name, "{home}": account.home, "{group}": _group_name(account.gid) if "{group}" in template else ""}
    for placeholder, value in values.items():
        if placeholder not in template:
            continue
        slashes = "/" in value and placeholder != "{home}"
        if not value.strip("/") or slashes or ".." in value.split("/") or (placeholder == "{home}" and not value.startswith("/")):
            raise Refusal("area_root_refused", f"{placeholder} resolves to {value!r}")
        template = template.replace(placeholder, value)
    return template


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""
