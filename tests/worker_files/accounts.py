"""Runs a piece of work as an account: in a forked child that has given up root, as a worker has."""

import ctypes
import os
import pickle
import struct
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from teapot.worker import threads
from teapot.worker.refusal import Refusal

ALICE, BOB = 61001, 61002
PROJECT, STRANGERS = 61010, 61011  # groups


def as_account(work: Callable[[], Any], uid: int = ALICE, groups: Sequence[int] = ()) -> Any:
    """What `work` returns; what it refuses is refused here as well, and a failed assertion fails here."""
    mine, its = os.pipe()
    child = start_as_account(work, uid, groups, its)
    os.close(its)
    with os.fdopen(mine, "rb") as result:
        said = result.read()
    os.waitpid(child, 0)
    kind, value = pickle.loads(said)
    if kind == "refused":
        raise Refusal(*value)
    assert kind == "done", value
    return value


def start_as_account(work: Callable[[], Any], uid: int = ALICE, groups: Sequence[int] = (), result: int = -1) -> int:
    """The child's pid."""
    child = os.fork()
    if child:
        return child
    try:
        os.setgroups([uid, *groups])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        threads.own_umask()
        said: tuple[str, Any] = ("done", work())
    except Refusal as refusal:
        said = ("refused", (refusal.problem, refusal.detail))
    except BaseException:
        said = ("failed", traceback.format_exc())
    if result >= 0:
        os.write(result, pickle.dumps(said))
    os._exit(0)


def without_tmpfile() -> None:
    """From now on this process's kernel answers O_TMPFILE as a file system does that has none (seccomp; cannot be undone)."""
    load, jump_equal, jump_set, answer = 0x20, 0x15, 0x45, 0x06
    number, flags = 0, 16 + 2 * 8  # offsets in struct seccomp_data: the call, the low half of its third argument
    openat = {"x86_64": 257, "aarch64": 56}[os.uname().machine]
    program = [
        (load, 0, 0, number),
        (jump_equal, 0, 3, openat),
        (load, 0, 0, flags),
        (jump_set, 0, 1, 0o20000000),
        (answer, 0, 0, 0x00050000 | 95),  # EOPNOTSUPP
        (answer, 0, 0, 0x7FFF0000),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in program))
    header = struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.create_string_buffer(header), 0, 0) == 0, os.strerror(ctypes.get_errno())
