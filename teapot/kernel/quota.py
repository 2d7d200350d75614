"""quotactl_fd(2), Linux 5.14: the quota of an account or a group on the file system that a descriptor is of.

Needs no path and no capability for one's own uid and groups, so it works in a worker's cage. Quotas of projects are for root only; but of
a directory that hands its project on, statvfs tells the project's limits in place of the file system's (ext4, XFS).
"""

import ctypes
import time
from typing import NamedTuple

USER, GROUP = 0, 1

_QUOTACTL_FD = 443  # the same on every machine
_GET = 0x800007 << 8
_BLOCK = 1024

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p)


class _Block(ctypes.Structure):
    """struct if_dqblk"""

    _fields_ = [(name, ctypes.c_uint64) for name in ("bhard", "bsoft", "space", "ihard", "isoft", "inodes", "btime", "itime")]
    _fields_ += [("valid", ctypes.c_uint32)]


class Limit(NamedTuple):
    """`allowed` None: no limit."""

    used: int
    allowed: int | None

    @property
    def left(self) -> int | None:
        return None if self.allowed is None else max(0, self.allowed - self.used)


class Quota(NamedTuple):
    bytes: Limit
    files: Limit


def of(descriptor: int, kind: int, number: int) -> Quota | None:
    """Of USER or GROUP `number`. None: the kernel or the file system keeps none, or it is not ours to know."""
    block = _Block()
    if _libc.syscall(_QUOTACTL_FD, descriptor, _GET | kind, number, ctypes.byref(block)) != 0:
        return None
    now = time.time()
    return Quota(
        _limit(block.space, block.bsoft * _BLOCK, block.bhard * _BLOCK, block.btime, now),
        _limit(block.inodes, block.isoft, block.ihard, block.itime, now),
    )


def _limit(used: int, soft: int, hard: int, grace_ends: int, now: float) -> Limit:
    """A soft limit counts once the time of grace above it is over; where it is the only one, it is what one is meant to use."""
    over = bool(soft) and used >= soft and 0 < grace_ends <= now
    return Limit(used, (soft if over or not hard else hard) or None)
