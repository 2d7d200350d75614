"""openat2(2): open a path below a directory, so that neither "..", a symbolic link nor /proc's magic links ever lead out of it."""

import ctypes
import errno
import os

_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS, _RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 0x02, 0x04, 0x08
_MAX_ATTEMPTS = 1000  # somebody who renames without end only stops requests to these very names

_libc = ctypes.CDLL(None, use_errno=True)  # CDLL: other threads run while the storage is slow
_libc.syscall.restype = ctypes.c_long
_libc.syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)


class _How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def open_beneath(directory: int, path: bytes, flags: int, mode: int = 0, *, links: bool = True) -> int:
    """A descriptor (close-on-exec). OSError as open(2); EXDEV: the path leads out of the directory; ELOOP: by a symbolic link, which
    is not followed without `links`."""
    if b"\0" in path:
        raise OSError(errno.EINVAL, "NUL in a path")
    how = _How(flags | os.O_CLOEXEC, mode, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS | (0 if links else _RESOLVE_NO_SYMLINKS))
    for _ in range(_MAX_ATTEMPTS):
        descriptor = _libc.syscall(_OPENAT2, directory, path or b".", ctypes.byref(how), ctypes.sizeof(how))
        if descriptor >= 0:
            return int(descriptor)
        error = ctypes.get_errno()
        if error not in (errno.EAGAIN, errno.EINTR):  # EAGAIN: something was renamed on the way, the kernel could not be sure
            break
    raise OSError(error, os.strerror(error))
