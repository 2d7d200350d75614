"""Every change of credentials that Teapot makes: the one file to read for "who runs as whom".

The master's children become a service account before they are executed (become_service); the spawner's children become the
account that they serve (become_account). Both give up groups, gid, uid and then all capabilities, in that order, read everything back,
and only then try to return to root, which must fail. A step that fails raises CredentialsError: the process is to die.
"""

import ctypes
import os
from collections.abc import Callable, Iterable, Sequence

CAP_KILL, CAP_SETGID, CAP_SETUID = 5, 6, 7
SPAWNER_CAPABILITIES = (CAP_KILL, CAP_SETGID, CAP_SETUID)

_PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_CAPBSET_READ, _PR_CAPBSET_DROP = 4, 8, 23, 24
_PR_SET_NO_NEW_PRIVS, _PR_GET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 38, 39, 47
_PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 2, 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63  # more than any kernel has: reading one that does not exist says so

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
_libc.prctl.restype = ctypes.c_int


class CredentialsError(Exception):
    """A process is not what it must be. It must not go on."""


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


_libc.capset.argtypes = _libc.capget.argtypes = (ctypes.POINTER(_Header), ctypes.POINTER(_Data))


def become_service(uid: int, gid: int, capabilities: Sequence[int] = ()) -> None:
    """In the master's child, as root: become a service account, without groups, for good; keep only these capabilities over execve."""
    _limit_bounding_set(capabilities)
    _prctl(_PR_SET_KEEPCAPS, 1)
    _take_ids(uid, gid, [])
    set_capabilities(capabilities)
    for capability in capabilities:
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)
    no_new_privileges()
    _prove_ids(uid, gid, [])
    _prove_capabilities(capabilities)
    if not capabilities:
        _prove_no_way_back()


def become_account(uid: int, gid: int, groups: Sequence[int]) -> None:
    """In the spawner's child: become a person's account with exactly these groups, for good, without any capability."""
    _take_ids(uid, gid, groups)
    give_up_capabilities()
    _prove_ids(uid, gid, groups)
    _prove_no_way_back()


def give_up_capabilities() -> None:
    """Also for a process that changes no ids (single-account mode): nothing is kept, nothing can be gained by an execve."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    set_capabilities(())
    no_new_privileges()
    _prove_capabilities(())


def set_capabilities(capabilities: Iterable[int]) -> None:
    """Effective, permitted and inheritable set, in the calling thread; the process has only one when this is used."""
    mask = _mask(capabilities)
    one_set = [_Data(*(mask >> shift & 0xFFFFFFFF,) * 3) for shift in (0, 32)]
    if _libc.capset(_Header(_CAPABILITY_VERSION_3, 0), (_Data * 2)(*one_set)):
        raise CredentialsError(f"capset: {os.strerror(ctypes.get_errno())}")


def capability_sets() -> tuple[int, int, int]:
    """Effective, permitted, inheritable, as bit masks."""
    data = (_Data * 2)()
    if _libc.capget(_Header(_CAPABILITY_VERSION_3, 0), data):
        raise CredentialsError(f"capget: {os.strerror(ctypes.get_errno())}")
    low, high = data[0], data[1]
    return (
        low.effective | high.effective << 32,
        low.permitted | high.permitted << 32,
        low.inheritable | high.inheritable << 32,
    )


def no_new_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def has_no_new_privileges() -> bool:
    return bool(_libc.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)


def not_dumpable() -> None:
    """No other process of the same account may read this one's memory or trace it. An execve undoes it."""
    _prctl(_PR_SET_DUMPABLE, 0)


def _take_ids(uid: int, gid: int, groups: Sequence[int]) -> None:
    if min(uid, gid) <= 0 or 0 in groups:
        raise CredentialsError(f"refusing to become uid {uid}, gid {gid}, groups {list(groups)}")
    try:
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as failed:
        raise CredentialsError(f"cannot become uid {uid}, gid {gid}: {failed}") from failed


def _limit_bounding_set(kept: Iterable[int]) -> None:
    keep = set(kept)
    for capability in range(_LAST_CAPABILITY + 1):
        if capability not in keep and _libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0) == 1:
            _prctl(_PR_CAPBSET_DROP, capability)


def _prove_ids(uid: int, gid: int, groups: Sequence[int]) -> None:
    is_now = (os.getresuid(), os.getresgid(), set(os.getgroups()))
    if is_now != ((uid,) * 3, (gid,) * 3, set(groups)):
        raise CredentialsError(f"meant to be uid {uid}, gid {gid}, groups {list(groups)}, but is {is_now}")


def _prove_capabilities(capabilities: Iterable[int]) -> None:
    if capability_sets() != (_mask(capabilities),) * 3:
        raise CredentialsError(f"capability sets are {[hex(one) for one in capability_sets()]}")


def _prove_no_way_back() -> None:
    attempts: tuple[Callable[[], None], ...] = (
        lambda: os.setuid(0),
        lambda: os.setgid(0),
        lambda: os.setresuid(0, 0, 0),
        lambda: os.setresgid(0, 0, 0),
        lambda: os.setgroups([0]),
    )
    for attempt in attempts:
        try:
            attempt()
        except PermissionError:
            continue
        raise CredentialsError("root could be regained")


def _mask(capabilities: Iterable[int]) -> int:
    return sum(1 << capability for capability in capabilities)


def _prctl(option: int, first: int = 0, second: int = 0) -> None:
    if _libc.prctl(option, first, second, 0, 0) != 0:
        raise CredentialsError(f"prctl {option} {first}: {os.strerror(ctypes.get_errno())}")
