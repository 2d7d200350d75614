"""adler32 of a file's content, kept beside the file in extended attributes, and computed when it is not there.

`user.storm.checksum.adler32` is written as StoRM writes it (eight hex digits). Our own `user.teapot.checksum` says to which size and time
of modification it belongs, so that a change by a batch job is noticed: without a guard that fits, a stored value is not believed.
"""

import contextlib
import hashlib
import os
import zlib

ADLER32 = "user.storm.checksum.adler32"
GUARD = "user.teapot.checksum"
_PIECE = 1 << 20


def store(descriptor: int, adler32: int) -> None:
    """As good as it goes: a file system without attributes only costs time later."""
    status = os.fstat(descriptor)
    with contextlib.suppress(OSError):
        os.setxattr(descriptor, ADLER32, b"%08x" % adler32)
        os.setxattr(descriptor, GUARD, _guard(status))


def digest(descriptor: int, algorithm: str) -> bytes:
    """In binary form: what is stored, if that still fits, or computed from the content (and then stored)."""
    if algorithm == "md5":
        return _computed_md5(descriptor)
    status = os.fstat(descriptor)
    with contextlib.suppress(OSError, ValueError):
        if os.getxattr(descriptor, GUARD) == _guard(status):
            return bytes.fromhex(os.getxattr(descriptor, ADLER32).decode().rjust(8, "0"))
    adler32 = _computed_adler32(descriptor)
    if _guard(os.fstat(descriptor)) == _guard(status):
        store(descriptor, adler32)
    return adler32.to_bytes(4, "big")


def _guard(status: os.stat_result) -> bytes:
    return b"%d %d" % (status.st_size, status.st_mtime_ns)


def _computed_adler32(descriptor: int) -> int:
    value, at = 1, 0
    while piece := os.pread(descriptor, _PIECE, at):
        value, at = zlib.adler32(piece, value), at + len(piece)
    return value


def _computed_md5(descriptor: int) -> bytes:
    value, at = hashlib.md5(usedforsecurity=False), 0
    while piece := os.pread(descriptor, _PIECE, at):
        value.update(piece)
        at += len(piece)
    return value.digest()
