"""A file that is being written and has no name yet, until commit() gives it its name at one stroke or abort() forgets it.

Everything that can be refused is refused before the first byte is taken: conditions, permissions, space. Missing parent collections are
made at the commit only, so that an upload that fails leaves nothing at all. May be used by several threads, one after the other; an
abort waits for a write that is under way.
"""

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from teapot.kernel import file_calls
from teapot.worker import annotations, checksum, computing, hashing, replace
from teapot.worker.area import Area
from teapot.worker.hashing import Adler32, Hash, Values
from teapot.worker.journal import Journal
from teapot.worker.patch import Patch
from teapot.worker.place import Place, locked, sync
from teapot.worker.refusal import Refusal, refusal_of
from teapot.worker.staging import Staged

# Raises Refusal when what stands at the target (None: nothing) is not as the request wants it.
Precondition = Callable[[os.stat_result | None], None]

_RESERVED_FROM_BYTES = 64 * 1024  # what is smaller comes with its request: writing it says as soon that there is no room
_A_SECOND = 1_000_000_000  # nanoseconds
_ATTEMPTS = 10  # against local processes that take no lock


class Terms(NamedTuple):
    """Under which a target may be written. The precondition is judged before the body, and again when the name is taken."""

    may_replace: bool
    precondition: Precondition
    durable: bool
    by_capability: bool = False  # the token itself names what may be modified here
    empty_only: bool = False  # a collection may be removed only without members


class Stored(NamedTuple):
    created: bool
    status: os.stat_result
    checksums: Values  # those that were computed on the way in


class Upload:
    def __init__(
        self, area: Area, path: bytes, terms: Terms, journal: Journal, length: int | None = None, patch: Patch | None = None
    ) -> None:
        """Refusal when it cannot be written. `length` as announced, None when unknown. `patch`: the body is a part of the file."""
        self.received = 0
        self.attributes: dict[str, bytes] = {}  # user attributes that the new file is to have, as far as the file system takes them
        self.mtime_s: int | None = None  # that the new file is to have; None: of the commit
        self._area, self._terms, self._patch = area, terms, patch
        self._adler32 = Adler32()
        self._others: dict[str, Hash] = {name: hashing.new(name) for name in area.settings.checksums if name != "adler32"}
        self._known: Values = {}  # of what was put in whole, or is computed in the end
        self._lock, self._open, self._called_off = threading.Lock(), True, False
        with contextlib.ExitStack() as opened:
            self._target = opened.enter_context(area.target(path, follow=True))
            old = self._target.status()
            place = Place(self._target.directory, self._target.name)
            self._inspect(place, old)
            if old is not None and (patch or replace.hindrance(place, old)):
                area.refuse_offline(place)  # its content would be read, or written into
            self._staged = self._stage(journal, replaces=old is not None)
            opened.callback(self._staged.discard)
            self.descriptor = self._staged.descriptor
            if patch:
                os.lseek(self.descriptor, patch.part.start, os.SEEK_SET)
                length = patch.to_reserve
            if length and length > _RESERVED_FROM_BYTES:
                self._reserve(length)
            self._opened = opened.pop_all()

    def compute(self, algorithms: Iterable[str]) -> None:
        """Before the first byte, when digests of these kinds came along or are wanted: cheaper than reading the file again."""
        self._others |= {name: hashing.new(name) for name in algorithms if name != "adler32" and name not in self._others}

    def write(self, data: memoryview) -> None:
        """All of it. Refusal no_space, quota_exceeded, ..."""
        with self._lock:
            self._must_be_open()
            for hash_ in (self._adler32, *self._others.values()):
                hash_.update(data)
            self.received += len(data)
            if self._patch and self.received > self._patch.part.length:
                raise Refusal("bad_header", "more bytes than Content-Range says")
            try:
                while data:
                    data = data[os.write(self.descriptor, data) :]
            except OSError as error:
                raise refusal_of(error) from error

    def skip(self, length: int) -> None:
        """As write() of so many zeros, but they take no space."""
        with self._lock:
            self._must_be_open()
            if not length:
                return
            self._adler32 = Adler32(hashing.joined(self._adler32.value, hashing.of_zeros(length), length))
            self._others.clear()
            self.received += length
            os.ftruncate(self.descriptor, self.received)
            os.lseek(self.descriptor, self.received, os.SEEK_SET)

    def filled(self, length: int, known: Values) -> None:
        """Instead of write(): the caller has put a whole file, of these checksums, adler32 among them, into the descriptor."""
        self.received, self._adler32 = length, Adler32(int.from_bytes(known["adler32"], "big"))
        self._others.clear()
        self._known = dict(known)

    def commit(self, length: int, expected: Mapping[str, bytes]) -> Stored:
        """Give the file its name, if it is complete and all conditions still hold. Whatever happens, the upload is over then.

        `expected`: digests in binary form that came with the body, by algorithm (hashing.LENGTHS).
        """
        with self._lock:
            self._must_be_open()
            try:
                self._verify(length, expected)
                _set_mtime(self.descriptor, self.mtime_s)
                if self._terms.durable:
                    os.fdatasync(self.descriptor)
                return self._take_name()
            except OSError as error:
                raise refusal_of(error, {errno.ENOENT: "parent_missing"}) from error
            finally:
                self._close()

    def call_off(self) -> None:
        """Whoever waits for the answer is gone: a commit under way, which may wait long for the disk, takes the name no more."""
        self._called_off = True

    def abort(self) -> None:
        """Nothing is left over. May be called at any time, and again."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._opened.close()

    def _must_be_open(self) -> None:
        if not self._open:
            raise Refusal("storage_error", "the upload was aborted")

    # --- before the body

    def _inspect(self, place: Place, old: os.stat_result | None) -> None:
        if old is not None:
            if not self._terms.may_replace:
                raise Refusal("replace_not_in_scope")
            replace.inspect(place, old, self._area)
        if self._patch:
            self._patch.inspect(place, old)
        self._terms.precondition(old)

    def _stage(self, journal: Journal, *, replaces: bool) -> Staged:
        stage = self._target.directory
        if self._area.settings.overwrite == "in_place" and not os.access(".", os.W_OK | os.X_OK, dir_fd=stage):
            stage = self._area.root  # the old inode gets the data in the end, wherever it was kept meanwhile
        return Staged(stage, self._area.creation, journal, durable=self._terms.durable, private=replaces)

    def _reserve(self, length: int) -> None:
        """A full disk or quota is told before the body is sent."""
        gauge, directory = self._area.gauge, self._target.directory
        gauge.refuse_by_account(directory, length)
        try:
            file_calls.reserve(self.descriptor, length)
        except OSError as error:
            if error.errno not in file_calls.UNSUPPORTED:
                raise refusal_of(error) from error
            gauge.refuse_by_kernel(directory, length)

    # --- after the body

    def _verify(self, length: int, expected: Mapping[str, bytes]) -> None:
        if self.received != length:
            raise Refusal("body_too_short", f"{self.received} bytes came, {length} were said to")
        if self._patch:
            self._complete(self._patch)
        for algorithm, value in expected.items():
            if self._digest(algorithm) != value:
                raise Refusal("digest_mismatch", algorithm)

    def _complete(self, patch: Patch) -> None:
        if self.received != patch.part.length:
            raise Refusal("body_too_short", f"{self.received} bytes came, Content-Range says {patch.part.length}")
        whole = patch.complete(Place(self._target.directory, self._target.name), self.descriptor, self._adler32.value)
        self._adler32 = Adler32(whole)
        self._others.clear()

    def _digest(self, algorithm: str) -> bytes:
        if algorithm not in self._values():
            self._known[algorithm] = computing.computed(self.descriptor, algorithm)
        return self._values()[algorithm]

    def _values(self) -> Values:
        passed: dict[str, Hash] = {"adler32": self._adler32, **self._others}
        return {**self._known, **{name: hash_.digest() for name, hash_ in passed.items()}}

    def _take_name(self) -> Stored:
        with self._target.place(self._area.creation, self._terms.durable) as place:
            with locked(place.directory):
                stored = self._settle(place)
            sync(place.directory, self._terms.durable)
        return stored

    def _settle(self, place: Place) -> Stored:
        """Under the directory's lock: look once more at what stands there, then take the name, or fill the old file."""
        for _ in range(_ATTEMPTS):
            if self._called_off:
                raise Refusal("storage_error", "whoever sent it is gone")
            old = place.status()
            self._inspect(place, old)
            with contextlib.suppress(FileExistsError):
                return self._stored(old, self._create(place) if old is None else self._replace(place, old))
        raise Refusal("busy", "others take the name and give it up, again and again")

    def _stored(self, old: os.stat_result | None, status: os.stat_result) -> Stored:
        return Stored(old is None, status, self._values())

    def _create(self, place: Place) -> os.stat_result:
        self._attach()
        self._staged.link(place)
        return os.fstat(self.descriptor)

    def _replace(self, place: Place, old: os.stat_result) -> os.stat_result:
        if replace.hindrance(place, old):
            checksums = self._values() if self._area.settings.checksums else {}
            return replace.write_in_place(self.descriptor, place, checksums=checksums, durable=self._terms.durable)
        replace.carry_over(place, old, self.descriptor, self._area.content_attributes)
        self._attach()
        self._staged.replace(place)
        return os.fstat(self.descriptor)

    def _attach(self) -> None:
        for name, value in self.attributes.items():
            if name == annotations.ATTRIBUTE:
                annotations.merge(self.descriptor, value)
                continue
            with contextlib.suppress(OSError):
                os.setxattr(self.descriptor, name, value)
        if self._area.settings.checksums:
            checksum.store(self.descriptor, self._values())


def _set_mtime(descriptor: int, mtime_s: int | None) -> None:
    """To the nanosecond: the kernel's own stamp moves every few milliseconds, and two contents must never share an entity tag.

    So a time that was asked for gets the fraction of the present one: a second PUT of it, of the same size, is another version.
    """
    now = time.time_ns()
    modified = now if mtime_s is None else mtime_s * _A_SECOND + now % _A_SECOND
    with contextlib.suppress(OSError):
        os.utime(descriptor, ns=(now, modified))
