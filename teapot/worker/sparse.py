"""Copies a range of one file to the same place in another, inside the storage where it can do that; holes stay holes."""

import errno
import os
from collections.abc import Iterator

from teapot.kernel import file_calls
from teapot.worker.refusal import Refusal

_PIECE = 1 << 20
_UNIT = 512  # what st_blocks counts
_CLONED_AT_ONCE = 1 << 30
_CANNOT_CLONE = file_calls.UNSUPPORTED | {errno.EXDEV}
_LARGEST_BLOCK = 1 << 16  # a storage shares whole blocks only


def has_holes(status: os.stat_result) -> bool:
    """Or is compressed: what space it needs cannot be told from its size."""
    return status.st_blocks * _UNIT < status.st_size


def data(descriptor: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """From where to where there is data; a file system that knows no holes has data everywhere."""
    at = start
    while at < end:
        try:
            at = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                return
            if error.errno not in file_calls.UNSUPPORTED:
                raise
            yield at, end
            return
        if at >= end:
            return
        hole = min(end, os.lseek(descriptor, at, os.SEEK_HOLE))
        yield at, hole
        at = hole


def copy(source: int, target: int, start: int, end: int) -> None:
    """Refusal file_changed when the source is shorter. The target's size is the caller's business."""
    for first, last in data(source, start, end):
        whole_blocks = last - last % _LARGEST_BLOCK
        at = _clone(source, target, first, whole_blocks) if first < whole_blocks else first
        at = _clone(source, target, at, last)
        _copy(source, target, at, last)
    if os.fstat(source).st_size < end:
        raise Refusal("file_changed", "the source was truncated while it was copied")


def _clone(source: int, target: int, at: int, end: int) -> int:
    """How far it came: to the end, or to where the file system cannot."""
    while at < end:
        try:
            moved = os.copy_file_range(source, target, min(end - at, _CLONED_AT_ONCE), at, at)
        except OSError as error:
            if error.errno in _CANNOT_CLONE:
                return at
            raise
        if moved == 0:
            return at
        at += moved
    return at


def _copy(source: int, target: int, at: int, end: int) -> None:
    while at < end:
        piece = os.pread(source, min(_PIECE, end - at), at)
        if not piece:
            return
        at += os.pwrite(target, piece, at)
