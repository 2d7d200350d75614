"""What the name service (NSS) says of a name, with what Python's pwd and grp leave out: whether it could be asked at all.

Any process that may look accounts up runs this; it may take for ever, while other threads run. glibc hides two things of its own:
getgrouplist(3) leaves out the groups of a source that fails, and where `files` comes after `sss` in /etc/nsswitch.conf a stopped SSSD
reads as "no such account". whole() finds both out.
"""

import contextlib
import ctypes
import errno
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

# getpwnam_r(3): not found. ENOENT also where a source has never been set up: its socket is not there.
_NOT_FOUND = frozenset((0, errno.ENOENT, errno.ESRCH))
_MAX_BUFFER_BYTES = 16 << 20  # a group may have very many members
_MAX_GROUPS = 65_536  # the kernel's own bound (NGROUPS_MAX)
_DATABASES = ("passwd", "group", "initgroups")
NSSWITCH, SSSD = "/etc/nsswitch.conf", "/var/lib/sss/pipes/nss"

_libc = ctypes.CDLL(None)  # CDLL: other threads run while a directory is slow

T = TypeVar("T")


class _Passwd(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p), ("password", ctypes.c_char_p), ("uid", ctypes.c_uint32), ("gid", ctypes.c_uint32),
        ("gecos", ctypes.c_char_p), ("directory", ctypes.c_char_p), ("shell", ctypes.c_char_p),
    ]  # fmt: skip


class _Group(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("password", ctypes.c_char_p), ("gid", ctypes.c_uint32), ("members", ctypes.c_void_p)]


class Entry(NamedTuple):
    name: str
    uid: int
    gid: int
    home: str
    shell: str


def passwd(name: str) -> Entry | None:
    """None: there is none. OSError: nobody knows."""
    return _found(_libc.getpwnam_r, name, _Passwd(), _entry)


def group_id(name: str) -> int | None:
    """None: there is none. OSError: nobody knows."""
    return _found(_libc.getgrnam_r, name, _Group(), lambda group: int(group.gid))


def groups(name: str, gid: int) -> tuple[int, ...]:
    """Of an account with this primary group, which is among them. os.getgrouplist() does the same, but stops every thread meanwhile."""
    room = 256
    while room <= _MAX_GROUPS:
        found, count = (ctypes.c_uint32 * room)(), ctypes.c_int(room)
        if _libc.getgrouplist(os.fsencode(name), ctypes.c_uint32(gid), found, ctypes.byref(count)) >= 0:
            return tuple(sorted(set(found[: count.value])))
        room *= 4
    raise OSError(errno.ERANGE, "the account is in too many groups")


def _entry(of: Any) -> Entry:
    return Entry(os.fsdecode(of.name), of.uid, of.gid, os.fsdecode(of.directory or b""), os.fsdecode(of.shell or b""))


def _found(call: Any, name: str, into: ctypes.Structure, read: Callable[[Any], T]) -> T | None:
    size = 4096
    while size <= _MAX_BUFFER_BYTES:
        buffer, result = ctypes.create_string_buffer(size), ctypes.c_void_p()
        status = call(os.fsencode(name), ctypes.byref(into), buffer, ctypes.c_size_t(size), ctypes.byref(result))
        if result:
            return read(into)
        if status in _NOT_FOUND:
            return None
        if status != errno.ERANGE:
            raise OSError(status, f"the name service fails: {os.strerror(status)}")
        size *= 4
    raise OSError(errno.ERANGE, "an entry of the name service is too long")


@contextlib.contextmanager
def whole(nsswitch: str = NSSWITCH, sssd: str = SSSD) -> Iterator[None]:
    """Around look-ups whose answers belong together. OSError: SSSD is used here, and was not there from the first to the last of them.

    It is seen by a connection that is held meanwhile, and on which nothing is ever said. Where its socket has never been, SSSD is only
    named, as on a fresh Red Hat system, and not used.
    """
    if not _names_sssd(nsswitch):
        yield
        return
    with socket.socket(socket.AF_UNIX) as held:
        try:
            held.connect(sssd)
        except FileNotFoundError:
            held.close()
        except OSError as failed:
            raise OSError(failed.errno, f"SSSD ({sssd}) does not answer: {failed.strerror}") from failed
        try:
            yield
        finally:  # an account that seems to be unknown, too, may be one that nobody was there to tell of
            if held.fileno() >= 0 and _has_ended(held):
                raise OSError(errno.ECONNRESET, f"SSSD ({sssd}) has ended meanwhile")


def _names_sssd(nsswitch: str) -> bool:
    with contextlib.suppress(FileNotFoundError), open(nsswitch, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            database, _, sources = line.partition("#")[0].partition(":")
            if database.strip() in _DATABASES and "sss" in sources.split():
                return True
    return False


def _has_ended(held: socket.socket) -> bool:
    try:
        return not held.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
