"""The worker's threads: each has a umask of its own, because two storage areas may have different ones."""

import ctypes
import threading
from collections.abc import Callable

_CLONE_FS = 0x200
_STACK_BYTES = 512 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


def start(work: Callable[[], None]) -> None:
    """A thread that nobody joins: a worker ends by os._exit, whatever hangs in the kernel then."""
    threading.stack_size(_STACK_BYTES)
    threading.Thread(target=_begin, args=(work,), daemon=True).start()


def _begin(work: Callable[[], None]) -> None:
    own_umask()
    work()


def own_umask() -> None:
    if _libc.unshare(_CLONE_FS) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_FS)")
