"""adler32 of a file's content, kept beside the file in extended attributes, and computed when it is not there.

`user.storm.checksum.adler32` is written as StoRM writes it (eight lower-case hex digits), for site tools that read it. Our own
`user.teapot.checksum` says to which size and time of modification it belongs. A value without a guard that fits is not believed: nothing
tells whether a batch job wrote to the file after the value was stored, and a wrong checksum makes a good replica look corrupt. So a file
that StoRM wrote is read once, when it is asked for. Storing is best effort, and changes ctime: that must be in no entity tag.
"""

import contextlib
import hashlib
import os
import threading
import zlib
from collections.abc import Callable, Iterator

from teapot.worker.refusal import Refusal, refusal_of

ADLER32 = "user.storm.checksum.adler32"
GUARD = "user.teapot.checksum"
ATTRIBUTES = frozenset((ADLER32, GUARD))
_PIECE = 1 << 20
_MODULUS = 65521
_TURNS = threading.BoundedSemaphore(16)  # half of the worker's threads at most compute: the others serve


def store(descriptor: int, adler32: int) -> None:
    """As good as it goes: a file system without attributes only costs time later."""
    status = os.fstat(descriptor)
    with contextlib.suppress(OSError):
        os.setxattr(descriptor, ADLER32, b"%08x" % adler32)
        os.setxattr(descriptor, GUARD, _guard(status))


def stored(file: int | str, status: os.stat_result) -> int | None:
    """The adler32 that was stored for exactly this content; None: it must be computed. `file`: open, or a path below /proc/self/fd."""
    with contextlib.suppress(OSError, ValueError):
        if os.getxattr(file, GUARD) == _guard(status):
            return int(os.getxattr(file, ADLER32), 16) & 0xFFFFFFFF
    return None


def digest(descriptor: int, algorithm: str, stop: Callable[[], bool] = lambda: False) -> bytes:
    """adler32 or md5 of the whole file, in binary form, from what is stored or from the content.

    `stop` is asked between pieces, but not while something is computed that will be kept: who asks again shall find it.
    """
    try:
        if algorithm == "md5":
            return _md5(descriptor, stop)
        status = os.fstat(descriptor)
        value = stored(descriptor, status)
        if value is None:
            value = _adler32(descriptor, (lambda: False) if _may_be_kept(descriptor) else stop)
            if _guard(os.fstat(descriptor)) == _guard(status):
                store(descriptor, value)
        return value.to_bytes(4, "big")
    except OSError as error:
        raise refusal_of(error) from error


def computed(descriptor: int) -> int:
    """From the content, whatever is stored."""
    return _adler32(descriptor, lambda: False)


def joined(first: int, second: int, length: int) -> int:
    """adler32 of two contents, one after the other; `length` of the second."""
    low, high = first & 0xFFFF, first >> 16
    low_of_both = (low + (second & 0xFFFF) - 1) % _MODULUS
    high_of_both = (high + (second >> 16) + length * (low - 1)) % _MODULUS
    return high_of_both << 16 | low_of_both


def of_zeros(length: int) -> int:
    return length % _MODULUS << 16 | 1


def _may_be_kept(descriptor: int) -> bool:
    return os.access(f"/proc/self/fd/{descriptor}", os.W_OK)


def _guard(status: os.stat_result) -> bytes:
    return b"%d %d" % (status.st_size, status.st_mtime_ns)


def _pieces(descriptor: int, stop: Callable[[], bool]) -> Iterator[bytes]:
    if not _TURNS.acquire(blocking=False):
        raise Refusal("worker_busy", "too many checksums are being computed")
    try:
        at = 0
        while piece := os.pread(descriptor, _PIECE, at):
            yield piece
            at += len(piece)
            if stop():
                raise Refusal("storage_error", "the checksum is not wanted any more")
    finally:
        _TURNS.release()


def _adler32(descriptor: int, stop: Callable[[], bool]) -> int:
    value = 1
    for piece in _pieces(descriptor, stop):
        value = zlib.adler32(piece, value)
    return value


def _md5(descriptor: int, stop: Callable[[], bool]) -> bytes:
    value = hashlib.md5(usedforsecurity=False)
    for piece in _pieces(descriptor, stop):
        value.update(piece)
    return value.digest()
