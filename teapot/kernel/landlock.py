"""Landlock: the calling thread, and whatever it starts later, gives up every file, port and foreign process that no rule names.

Works without any privilege and cannot be undone. What a kernel can restrict is told by its ABI number (0: nothing at all, it has
no Landlock or does not enable it); `restrict` uses everything that the running kernel knows. To be called while the process has one
thread, after no_new_privs.
"""

import ctypes
import errno
import os
from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_UNIX_SOCKET, _SCOPE_SIGNAL = 1, 2

# Files and collections may be made, changed, moved and removed; nothing is executed, and no device, socket or pipe is made.
READ = READ_FILE | READ_DIR
READ_AND_WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER | TRUNCATE

# Since which ABI a right on files is known; the first 13 came with ABI 1.
_FILE_RIGHTS = ((1, (1 << 13) - 1), (2, REFER), (3, TRUNCATE), (5, IOCTL_DEV))

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class LandlockError(Exception):
    """The kernel has Landlock, but did not take the rules. The process is to die."""


class _Ruleset(ctypes.Structure):
    _fields_ = [
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def abi() -> int:
    """What the running kernel knows: 1 and up, or 0 when it has no Landlock or does not enable it."""
    version = _syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    if version < 0 and ctypes.get_errno() not in (errno.ENOSYS, errno.EOPNOTSUPP):
        raise LandlockError(f"asking for the ABI: {os.strerror(ctypes.get_errno())}")
    return max(0, version)


def restrict(beneath: Iterable[tuple[int, int]]) -> int:
    """Allow only these rights beneath these folders' descriptors, no TCP, no signal and no abstract socket to others.

    Returns the kernel's ABI; with 0 nothing was restricted.
    """
    known = abi()
    if known == 0:
        return 0
    handled = sum(rights for since, rights in _FILE_RIGHTS if since <= known)
    ruleset = _create(handled, known)
    try:
        for descriptor, rights in beneath:
            rule = _PathBeneath(rights & handled, descriptor)
            _checked(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
        _checked(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return known


def _create(handled: int, known: int) -> int:
    net = _BIND_TCP | _CONNECT_TCP if known >= 4 else 0
    scoped = _SCOPE_ABSTRACT_UNIX_SOCKET | _SCOPE_SIGNAL if known >= 6 else 0
    size = 8 if known < 4 else 16 if known < 6 else 24  # an older kernel refuses a longer form
    return _checked(_CREATE_RULESET, ctypes.byref(_Ruleset(handled, net, scoped)), size, 0)


def _checked(number: int, *arguments: object) -> int:
    result = _syscall(number, *arguments)
    if result < 0:
        raise LandlockError(f"call {number}: {os.strerror(ctypes.get_errno())}")
    return result


def _syscall(number: int, *arguments: object) -> int:
    passed = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return int(_libc.syscall(ctypes.c_long(number), *passed))
