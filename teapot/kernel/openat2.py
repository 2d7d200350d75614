"""openat2(2): open a path below a directory, so that neither "..", a symbolic link nor /proc's magic links ever lead out of it."""

import ctypes
import os

_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS, _RESOLVE_BENEATH = 0x02, 0x08

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)


class _How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def open_beneath(directory: int, path: bytes, flags: int, mode: int = 0) -> int:
    """A descriptor (close-on-exec). OSError as open(2); EXDEV: the path leads out of the directory."""
    how = _How(flags | os.O_CLOEXEC, mode, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    while True:
        descriptor = _libc.syscall(_OPENAT2, directory, path or b".", ctypes.byref(how), ctypes.sizeof(how))
        if descriptor >= 0:
            return int(descriptor)
        error = ctypes.get_errno()
        if error != 11:  # EAGAIN: something was renamed on the way; the kernel could not be sure
            raise OSError(error, os.strerror(error))
