"""What a worker may not do any more, set up and then proven, before it serves anybody.

The credentials were given up and proven by kernel/credentials.py. Here follow the limits, Landlock on the storage areas, an end to new
sockets, and the proof that each of it holds: a worker that cannot prove its cage dies.
"""

import os
import resource
import socket
from collections.abc import Iterable

from teapot.kernel import credentials, landlock, no_sockets

_OUTSIDE = ("/", "/etc/passwd", "/proc/self/environ", "/tmp")


class CageError(Exception):
    """Some part of the cage does not hold. The process is to die."""


def close(areas: Iterable[int], spool: int | None, *, open_files: int, memory_bytes: int) -> int:
    """Descriptors of what may be written; returns Landlock's ABI, 0 when the kernel has none."""
    areas = list(areas)
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: min(open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        resource.RLIMIT_DATA: memory_bytes,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))
    writable = [*areas, *([spool] if spool is not None else [])]
    abi = landlock.restrict((descriptor, landlock.READ_AND_WRITE) for descriptor in writable)
    without_sockets = no_sockets.refuse_new()
    _prove(limits, abi)
    if without_sockets:
        _prove_no_sockets()
    return abi


def _prove(limits: dict[int, int], abi: int) -> None:
    if not credentials.has_no_new_privileges():
        raise CageError("no_new_privs is not set")
    if any(credentials.capability_sets()):
        raise CageError("a capability is left")
    if 0 in (*os.getresuid(), *os.getresgid(), *os.getgroups()):
        raise CageError("an id of root is left")
    if os.environ:
        raise CageError("the environment is not empty")
    for limit, value in limits.items():
        if resource.getrlimit(limit) != (value, value):
            raise CageError(f"limit {limit} is {resource.getrlimit(limit)}")
    if abi:
        _prove_landlock()


def _prove_landlock() -> None:
    for path in _OUTSIDE:
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            continue
        raise CageError(f"{path} can be opened")


def _prove_no_sockets() -> None:
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        try:
            socket.socket(family).close()
        except PermissionError:
            continue
        raise CageError("a socket can be made")


def close_others(owned: Iterable[int]) -> None:
    """What the plug-ins of the name service have opened meanwhile: SSSD's keeps its socket and its caches. Nobody is looked up any more."""
    kept = sorted({0, 1, 2, *owned})
    for lower, upper in zip(kept, [*kept[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
        os.closerange(lower + 1, upper)


def prove_descriptors(owned: Iterable[int]) -> None:
    """No descriptor is open but these; before Landlock closes /proc."""
    folder = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = {int(name) for name in os.listdir(folder)} - {folder}
    finally:
        os.close(folder)
    # listdir of a descriptor works on a duplicate of it, which is gone by now
    strangers = {descriptor for descriptor in found - {0, 1, 2, *owned} if _is_open(descriptor)}
    if strangers:
        raise CageError(f"inherited descriptors are open: {sorted(strangers)}")


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
