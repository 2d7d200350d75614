"""File system calls that the standard library lacks, or emulates in a way that we must not have."""

import ctypes
import os

_AT_FDCWD, _AT_SYMLINK_FOLLOW = -100, 0x400
_RENAME_NOREPLACE = 1
_FALLOC_KEEP_SIZE = 1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong)
_libc.linkat.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
_libc.renameat2.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)


def reserve(descriptor: int, length: int) -> None:
    """Reserve space without changing the size. OSError ENOSPC, EDQUOT; EOPNOTSUPP where the file system cannot.

    Not posix_fallocate: glibc emulates that by writing.
    """
    _checked(_libc.fallocate(descriptor, _FALLOC_KEEP_SIZE, 0, length))


def link_descriptor(descriptor: int, directory: int, name: bytes) -> None:
    """Give the file of an O_TMPFILE descriptor a name. FileExistsError when the name is taken: it never replaces."""
    source = f"/proc/self/fd/{descriptor}".encode()
    _checked(_libc.linkat(_AT_FDCWD, source, directory, name, _AT_SYMLINK_FOLLOW))


def rename_new(source: int, old: bytes, target: int, new: bytes) -> None:
    """Rename, unless something is at the new name: FileExistsError."""
    _checked(_libc.renameat2(source, old, target, new, _RENAME_NOREPLACE))


def _checked(result: int) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
