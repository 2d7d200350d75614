"""The one way in which a file takes the place of another: what belongs to the name, not to the content, is carried over.

Mode, ACL, group and user attributes of the old file go to the new one; then one rename. A target that cannot be replaced without
changing what others rely on (another owner, several hard links, a symbolic link) is refused, or written in place where the area says so.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable

from teapot.worker import checksum
from teapot.worker.area import Area, Place, is_file
from teapot.worker.refusal import Refusal, refusal_of

_ACL = "system.posix_acl_access"
_PIECE = 1 << 20


def inspect(place: Place, old: os.stat_result | None, area: Area) -> None:
    """Refusal when what stands there can be neither replaced nor written in place, or when a new name is not to be had."""
    if old is None:
        _must_be_writable(place)
    elif not is_file(old) and not stat.S_ISLNK(old.st_mode):
        raise Refusal("not_a_file")
    elif _hindrance(place, old) and area.settings.overwrite == "refuse":
        raise Refusal("cannot_replace", _hindrance(place, old))


def take_over(new: int, place: Place, old: os.stat_result, area: Area, name_hidden: Callable[[], Place]) -> None:
    """Put the new file in the old one's place; the caller holds the directory's lock."""
    if _hindrance(place, old):
        _write_in_place(new, place)
        return
    _carry_over(place, old, new)
    hidden = name_hidden()
    os.rename(hidden.name, place.name, src_dir_fd=hidden.directory, dst_dir_fd=place.directory)


def _hindrance(place: Place, old: os.stat_result) -> str:
    """Why the file cannot be replaced by another inode; "": it can."""
    if stat.S_ISLNK(old.st_mode):
        return "the target is a symbolic link"
    if old.st_uid != os.geteuid():
        return "the target belongs to another account"
    if old.st_nlink > 1:
        return "the target has several hard links"
    return "" if os.access(".", os.W_OK | os.X_OK, dir_fd=place.directory, effective_ids=True) else "the directory is not writable"


def _must_be_writable(place: Place) -> None:
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=place.directory, effective_ids=True):
        raise Refusal("permission_denied", "the directory is not writable")


def _carry_over(place: Place, old: os.stat_result, new: int) -> None:
    with _open_old(place) as source:
        if os.fstat(new).st_gid != old.st_gid:
            with contextlib.suppress(PermissionError):  # a group that the account has left
                os.fchown(new, -1, old.st_gid)
        os.fchmod(new, stat.S_IMODE(old.st_mode))
        for name in _attributes(source):
            if name.startswith("user.") and name not in (checksum.ADLER32, checksum.GUARD) or name == _ACL:
                os.setxattr(new, name, os.getxattr(source, name))


@contextlib.contextmanager
def _open_old(place: Place):  # type: ignore[no-untyped-def]
    """Our own file, which may have a mode without read permission: its attributes are read through /proc then."""
    path = os.open(place.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.directory)
    try:
        yield f"/proc/self/fd/{path}"
    finally:
        os.close(path)


def _attributes(source: str) -> list[str]:
    try:
        return os.listxattr(source)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EACCES):
            return []
        raise


def _write_in_place(new: int, place: Place) -> None:
    """Not atomic: the area's administrator has chosen so."""
    try:
        target = os.open(place.name, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=place.directory)
    except OSError as error:
        raise refusal_of(error) from error
    try:
        size, at = os.fstat(new).st_size, 0
        while at < size:
            at += os.sendfile(target, new, at, _PIECE)
        os.ftruncate(target, size)
    finally:
        os.close(target)
