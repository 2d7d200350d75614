"""The one way in which a file takes the place of another: what belongs to the name, not to the content, is carried over.

Group, ACL, mode and user attributes of the old file go to the new one; then one rename. A target that cannot be replaced without
changing what others rely on (another owner, several hard links, a group that would be lost, a directory that may not be written) is
refused, or written in place where the area says so. In place is not atomic: a reader may see half, a crash leaves half.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from teapot.kernel import file_calls
from teapot.worker import checksum
from teapot.worker.area import Area, is_collection, is_file
from teapot.worker.hashing import Values
from teapot.worker.place import Place
from teapot.worker.refusal import Refusal, refusal_of

_ACCESS_LISTS = ("system.posix_acl_access", "system.nfs4_acl")
_NO_ATTRIBUTES = frozenset((errno.EOPNOTSUPP, errno.EACCES, errno.ENODATA, errno.ENOSYS))
_MODE = 0o1777  # the kernel takes setuid and setgid from a file that is written to; so do we
_PIECE = 1 << 20


def inspect(place: Place, old: os.stat_result, area: Area) -> None:
    """Refusal when the account may neither replace the file nor write it in place.

    A file that its owner has made read-only is refused, as open(2) would refuse it, although a rename could take its name away.
    """
    if is_collection(old):
        raise Refusal("is_collection")
    if not is_file(old):
        raise Refusal("not_a_file")
    if not os.access(place.name, os.W_OK, dir_fd=place.directory):
        mounted_so = os.fstatvfs(place.directory).f_flag & os.ST_RDONLY
        raise Refusal("storage_read_only" if mounted_so else "permission_denied", "the file is not writable")
    reason = hindrance(place, old)
    if reason and area.settings.overwrite == "refuse":
        raise Refusal("cannot_replace", reason)


def hindrance(place: Place, old: os.stat_result) -> str:
    """Why the file cannot be replaced by another inode; "": it can."""
    if old.st_uid != os.geteuid():
        return "the target belongs to another account"
    if old.st_nlink > 1:
        return "the target has several hard links"
    if old.st_gid != os.getegid() and old.st_gid not in os.getgroups() and not _inherits_group(place, old):
        return "the target's group is not one of the account's"
    return "" if os.access(".", os.W_OK | os.X_OK, dir_fd=place.directory) else "the directory is not writable"


def _inherits_group(place: Place, old: os.stat_result) -> bool:
    above = os.fstat(place.directory)
    return bool(above.st_mode & stat.S_ISGID) and above.st_gid == old.st_gid


def carry_over(place: Place, old: os.stat_result, new: int, of_content: frozenset[str]) -> None:
    """Onto the new inode, before it gets the name. Refusal cannot_replace when something would be lost on the way.

    of_content: attributes that say something of the old content.
    """
    with _attributes_of(place) as attributes:
        try:
            if os.fstat(new).st_gid != old.st_gid:
                os.fchown(new, -1, old.st_gid)
            _carry_access_lists(attributes, new)
            os.fchmod(new, stat.S_IMODE(old.st_mode) & _MODE)
            for name in attributes:
                if name.startswith("user.") and name not in of_content:
                    os.setxattr(new, name, attributes[name])
        except OSError as error:
            raise Refusal("cannot_replace", f"not everything can be carried over: {error}") from error


def _carry_access_lists(old: dict[str, bytes], new: int) -> None:
    """The new inode may have inherited a list that the old file does not have."""
    for name in _ACCESS_LISTS:
        if name in old:
            os.setxattr(new, name, old[name])
        elif name in _names(new) and name == _ACCESS_LISTS[0]:
            os.removexattr(new, name)


@contextlib.contextmanager
def _attributes_of(place: Place) -> Iterator[dict[str, bytes]]:
    """Read through /proc: an O_PATH descriptor needs no permission on the file, but takes no attribute calls itself."""
    descriptor = os.open(place.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.directory)
    try:
        path = f"/proc/self/fd/{descriptor}"
        yield {name: value for name in _names(path) if (value := _value(path, name)) is not None}
    finally:
        os.close(descriptor)


def _names(file: int | str) -> list[str]:
    try:
        return os.listxattr(file)
    except OSError as error:
        if error.errno in _NO_ATTRIBUTES:
            return []
        raise refusal_of(error) from error


def _value(path: str, name: str) -> bytes | None:
    """None: not ours to carry, or gone meanwhile."""
    if not name.startswith("user.") and name not in _ACCESS_LISTS:
        return None
    try:
        return os.getxattr(path, name)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return None
        raise Refusal("cannot_replace", f"the attribute {name} cannot be read: {error}") from error


def write_in_place(new: int, place: Place, *, checksums: Values, durable: bool) -> os.stat_result:
    """Copy the new content into the old inode. Not atomic: the area's administrator has chosen so."""
    target = os.open(place.name, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=place.directory)
    try:
        if not is_file(os.fstat(target)):
            raise Refusal("not_a_file")
        _copy(new, target)
        if checksums:
            checksum.store(target, checksums)
        if durable:
            os.fdatasync(target)
        return os.fstat(target)
    finally:
        os.close(target)


def _reserve(target: int, size: int) -> None:
    """Before the old content is touched."""
    try:
        if size > os.fstat(target).st_size:
            file_calls.reserve(target, size)
    except OSError as error:
        if error.errno not in file_calls.UNSUPPORTED:
            raise


def _copy(source: int, target: int) -> None:
    size, at = os.fstat(source).st_size, 0
    _reserve(target, size)
    while at < size:
        moved = os.sendfile(target, source, at, _PIECE)
        if not moved:
            raise Refusal("storage_error", "the staged data is shorter than it was")
        at += moved
    os.ftruncate(target, size)
