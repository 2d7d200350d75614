"""A part of a file that comes as a body: the rest is taken from the file as it stands, and the whole replaces it at one stroke.

So nobody sees half of it, and a part that is cut short leaves the old file. Parts may overwrite and append, never leave a gap. A file
that changes between the first look and the commit is refused: two appends at once must not both succeed.
"""

import os
import stat

from teapot.worker import checksum, computing, hashing, replace, sparse
from teapot.worker.content_range import Part
from teapot.worker.place import Place
from teapot.worker.refusal import RangeRefusal, Refusal

_Version = tuple[int, int, int, int]
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW


class Patch:
    def __init__(self, part: Part) -> None:
        self.part = part
        self._seen = False
        self._old: _Version | None = None  # None: there is no file yet
        self._size = 0  # of the old file
        self._has_holes = False

    def inspect(self, place: Place, old: os.stat_result | None) -> None:
        """May be asked again; the file must be the same then."""
        version = _version(old) if old is not None else None
        if self._seen and version != self._old:
            raise Refusal("file_changed", "while a part of it was being written")
        self._seen, self._old, self._size = True, version, old.st_size if old is not None else 0
        self._has_holes = old is not None and sparse.has_holes(old)
        part = self.part
        if part.start > self._size or part.whole is not None and part.whole < self._size:
            raise RangeRefusal(self._size)
        if old is not None:
            self._inspect_old(place, old)

    def _inspect_old(self, place: Place, old: os.stat_result) -> None:
        if reason := replace.hindrance(place, old):
            raise Refusal("cannot_replace", f"{reason}: a part cannot be written atomically")
        if not os.access(place.name, os.R_OK, dir_fd=place.directory):
            raise Refusal("permission_denied", "the rest of the file cannot be read")

    @property
    def size(self) -> int:
        """Of the file in the end."""
        return max(self._size, self.part.end)

    @property
    def to_reserve(self) -> int | None:
        """Bytes that are needed in the end; None: less than the size, who knows how much."""
        return None if self._has_holes else self.size

    def complete(self, place: Place, new: int, adler32: int) -> int:
        """Put the rest around the part in `new`, whose checksum is given; the checksum of the whole."""
        if self._old is None:
            return adler32
        try:
            old = os.open(place.name, _READ, dir_fd=place.directory)
        except FileNotFoundError as error:
            raise Refusal("file_changed", "removed while a part of it was being written") from error
        try:
            status = os.fstat(old)
            if not stat.S_ISREG(status.st_mode) or _version(status) != self._old:
                raise Refusal("file_changed", "while a part of it was being written")
            sparse.copy(old, new, 0, self.part.start)
            sparse.copy(old, new, self.part.end, self._size)
            os.ftruncate(new, self.size)
            before = checksum.stored(old, status).get("adler32") if self.part.start == self._size else None
        finally:
            os.close(old)
        if before is not None:
            return hashing.joined(int.from_bytes(before, "big"), adler32, self.part.length)
        return adler32 if self.part.length == self.size else int.from_bytes(computing.computed(new, "adler32"), "big")


def _version(status: os.stat_result) -> _Version:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
