"""What the kernel says of the file system below a descriptor, as the account that asks. Works in a worker's cage: no path is opened."""

import os
import stat

from teapot.kernel import quota
from teapot.kernel.quota import Limit
from teapot.space.amounts import NotKnown, Space, Usage, below, limited, tightest

_CEPH_USED, _CEPH_LIMIT = "ceph.dir.rbytes", "ceph.quota.max_bytes"


def of_file_system(descriptor: int) -> Space:
    """In a directory with a project quota, what is left of that, as ext4 and XFS tell it."""
    system = os.fstatvfs(descriptor)
    return Space((system.f_blocks - system.f_bfree) * system.f_frsize, system.f_bavail * system.f_frsize)


def with_quotas(descriptor: int, group: int) -> Space:
    """The file system, or the quota of the account or of the group of new files, if that is less."""
    limits = [limit for _, limit, _ in limits_of(descriptor, group)]
    return tightest([of_file_system(descriptor), *(below(one.allowed, one.used) for one in limits if one.allowed is not None)])


def limits_of(descriptor: int, group: int) -> list[tuple[int, Limit, Limit]]:
    """Kind, bytes and files, of the quotas that a new file counts for."""
    found = []
    for kind, number in ((quota.USER, os.geteuid()), (quota.GROUP, group_of_new_files(descriptor, group))):
        one = quota.of(descriptor, kind, number)
        if one:
            found.append((kind, one.bytes, one.files))
    return found


def group_of_new_files(descriptor: int, group: int) -> int:
    """`group`: what the storage area demands; -1: nothing."""
    if group >= 0:
        return group
    status = os.fstat(descriptor)
    return status.st_gid if status.st_mode & stat.S_ISGID else os.getegid()


def of_cephfs(descriptor: int) -> Space:
    """By the attributes of a CephFS directory. NotKnown where there are none."""
    used, limit = _attribute(descriptor, _CEPH_USED), _attribute(descriptor, _CEPH_LIMIT, "0")
    return cephfs(used, limit, of_file_system(descriptor))


def cephfs(used: str, limit: str, file_system: Space) -> Space:
    """ceph.quota.max_bytes 0: the directory has no quota."""
    if not (used.isascii() and used.isdecimal() and limit.isascii() and limit.isdecimal()):
        raise NotKnown(f"CephFS says {used!r} of {limit!r}")
    return limited(Usage(int(used), int(limit) or None), file_system)


def _attribute(descriptor: int, name: str, missing: str | None = None) -> str:
    """Through /proc: a descriptor that grants nothing (O_PATH) has no attributes itself."""
    try:
        return os.getxattr(f"/proc/self/fd/{descriptor}", name).decode("ascii", "replace")
    except OSError as error:
        if missing is not None:
            return missing
        raise NotKnown(f"{name}: {error.strerror}") from error
