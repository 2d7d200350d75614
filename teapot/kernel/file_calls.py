"""File system calls that the standard library lacks, or emulates in a way that we must not have."""

import contextlib
import ctypes
import errno
import os
from collections.abc import Callable

_AT_FDCWD, _AT_SYMLINK_FOLLOW, _AT_EMPTY_PATH = -100, 0x400, 0x1000
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
_FALLOC_KEEP_SIZE = 1

# What a kernel or a file system says of a call that it does not know.
UNSUPPORTED = frozenset((errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTTY))

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong)
_libc.linkat.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
_libc.renameat2.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)


def reserve(descriptor: int, length: int) -> None:
    """Reserve space without changing the size. OSError ENOSPC, EDQUOT, EFBIG; one of UNSUPPORTED where the file system cannot.

    Not posix_fallocate: glibc emulates that by writing.
    """
    _call(lambda: _libc.fallocate(descriptor, _FALLOC_KEEP_SIZE, 0, length))


def link_descriptor(descriptor: int, directory: int, name: bytes) -> None:
    """Give the file of an O_TMPFILE descriptor a name. FileExistsError when the name is taken: it never replaces."""
    source = b"/proc/self/fd/%d" % descriptor
    try:
        _call(lambda: _libc.linkat(_AT_FDCWD, source, directory, name, _AT_SYMLINK_FOLLOW))
    except FileNotFoundError:  # no /proc here; without it kernels before 6.10 want a capability
        _call(lambda: _libc.linkat(descriptor, b"", directory, name, _AT_EMPTY_PATH))


def rename_new(source: int, old: bytes, target: int, new: bytes) -> None:
    """Rename, unless something is at the new name: FileExistsError. For files and collections.

    Where the file system lacks that (NFS), a look comes before; the caller holds the directory's lock.
    """
    try:
        _call(lambda: _libc.renameat2(source, old, target, new, _RENAME_NOREPLACE))
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        with contextlib.suppress(FileNotFoundError):
            os.stat(new, dir_fd=target, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
        os.rename(old, new, src_dir_fd=source, dst_dir_fd=target)


def exchange(source: int, old: bytes, target: int, new: bytes) -> None:
    """Two names change places at one stroke. One of UNSUPPORTED where the file system cannot."""
    _call(lambda: _libc.renameat2(source, old, target, new, _RENAME_EXCHANGE))


def _call(attempt: Callable[[], int]) -> None:
    while attempt() != 0:
        error = ctypes.get_errno()
        if error != errno.EINTR:
            raise OSError(error, os.strerror(error))
