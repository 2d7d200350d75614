"""The calling thread, and whatever it starts later, makes no socket any more, gives none a name and connects none (a seccomp filter).

Landlock knows of TCP's bind and connect only: beside them there are UDP, sockets with a path, TCP Fast Open, Multipath TCP, and listen(2)
without bind(2). Sockets that the process has, or is given, and pairs of connected sockets work as before. Works without any privilege and
cannot be undone. To be called while the process has one thread, after no_new_privs.
"""

import ctypes
import errno
import os
import struct
from typing import NamedTuple

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_IF_SET, _ANSWER = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; arguments have eight bytes
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_X32 = 0x40000000  # the same calls of x86_64 by other numbers begin here
_IO_URING_SETUP = 425  # by which all of these could be asked for without a call

_FAST_OPEN = 0x20000000  # a flag of sending that connects, too: also a socket that was connected to somebody else
_DATAGRAMS = 0x2  # in the types SOCK_DGRAM and SOCK_RAW, not in SOCK_STREAM and SOCK_SEQPACKET: who has one sends to any path


class _Machine(NamedTuple):
    """What the filter calls it, and the numbers of its calls."""

    architecture: int
    refused: tuple[int, ...]  # socket, bind, connect
    refused_with: tuple[tuple[int, int, int], ...]  # call, argument, bits: sendto and its kin by flags, socketpair by type


_GENERIC = (198, 200, 203), ((206, 3, _FAST_OPEN), (211, 2, _FAST_OPEN), (269, 3, _FAST_OPEN), (199, 1, _DATAGRAMS))
_MACHINES = {
    "x86_64": _Machine(0xC000003E, (41, 49, 42), ((44, 3, _FAST_OPEN), (46, 2, _FAST_OPEN), (307, 3, _FAST_OPEN), (53, 1, _DATAGRAMS))),
    "aarch64": _Machine(0xC00000B7, *_GENERIC),
    "riscv64": _Machine(0xC00000F3, *_GENERIC),
}
_TO_REFUSAL, _TO_LEAVE = -1, -2
_NO_SECCOMP = frozenset((errno.EINVAL, errno.ENOSYS))

_Step = tuple[int, int, int, int]  # operation, how many steps to skip if true, if false, value

_libc = ctypes.CDLL(None, use_errno=True)


class NoSocketsError(Exception):
    """The kernel has seccomp, but did not take the filter. The process is to die."""


def refuse_new() -> bool:
    """False: this kernel, or this kind of machine, has no such filter, and nothing was given up."""
    machine = _MACHINES.get(os.uname().machine)
    if machine is None:
        return False
    program = b"".join(struct.pack("<HBBI", *step) for step in _program(machine))
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    if _libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.create_string_buffer(header), 0, 0) == 0:
        return True
    if ctypes.get_errno() in _NO_SECCOMP:
        return False
    raise NoSocketsError(os.strerror(ctypes.get_errno()))


def _program(machine: _Machine) -> list[_Step]:
    """Calls of another architecture end the process."""
    with_bits = [step for one in machine.refused_with for step in _unless_set(*one)]
    refused = (*machine.refused, _IO_URING_SETUP)
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, machine.architecture),
        (_ANSWER, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_AT_LEAST, _TO_REFUSAL, 0, _X32),
        *((_JUMP_EQUAL, _TO_REFUSAL, 0, call) for call in refused),
        *with_bits,
        (_ANSWER, 0, 0, _ALLOW),
        (_ANSWER, 0, 0, _REFUSE | errno.EACCES),
    ]
    return [_resolved(step, len(steps) - 1 - at) for at, step in enumerate(steps)]


def _unless_set(call: int, argument: int, bits: int) -> list[_Step]:
    return [(_JUMP_EQUAL, 0, 2, call), (_LOAD, 0, 0, _ARGUMENTS + 8 * argument), (_JUMP_IF_SET, _TO_REFUSAL, _TO_LEAVE, bits)]


def _resolved(step: _Step, left: int) -> _Step:
    """The last step refuses, the one before it allows; `left` are those behind this one."""
    operation, if_true, if_false, value = step
    places = {_TO_REFUSAL: left - 1, _TO_LEAVE: left - 2}
    return operation, places.get(if_true, if_true), places.get(if_false, if_false), value
