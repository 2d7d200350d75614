"""A file that is being written and has no name yet, until commit() gives it its name at one stroke or abort() forgets it.

With O_TMPFILE nothing is ever left over. Where the file system has none, the data has a random name in the same directory, which is
journalled first (journal.py). Everything that can be refused is refused before the first byte is taken.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from teapot.kernel import file_calls
from teapot.worker import checksum, replace
from teapot.worker.area import Area, Place, is_collection, locked
from teapot.worker.journal import Journal
from teapot.worker.refusal import Refusal, refusal_of

Precondition = Callable[[os.stat_result | None], None]  # raises Refusal when what stands at the target is not as the request wants it


class Terms(NamedTuple):
    """Under which a target may be written."""

    may_replace: bool
    precondition: Precondition
    durable: bool


class Stored(NamedTuple):
    created: bool
    status: os.stat_result
    adler32: bytes


class Upload:
    def __init__(self, area: Area, path: bytes, terms: Terms, journal: Journal, length: int | None = None) -> None:
        """Refusal when it cannot be written. `length` as announced, None when unknown."""
        self._exit = contextlib.ExitStack()
        self._area, self._terms, self._journal = area, terms, journal
        self._hidden: bytes | None = None
        self.received, self._adler32 = 0, 1
        self._md5: hashlib._Hash | None = None
        with contextlib.ExitStack() as undo:
            undo.callback(self.abort)
            self._place = self._exit.enter_context(area.place(path, make_parents=area.settings.create_parents))
            self._inspect(self._place.status())
            self.descriptor = self._open()
            self._exit.callback(os.close, self.descriptor)
            if length:
                self._reserve(length)
            undo.pop_all()

    def want_md5(self) -> None:
        """Before the first byte, when a digest of this kind came along."""
        self._md5 = hashlib.md5(usedforsecurity=False)

    def write(self, data: memoryview) -> None:
        """All of it. Refusal no_space, quota_exceeded, ..."""
        self._adler32 = zlib.adler32(data, self._adler32)
        if self._md5:
            self._md5.update(data)
        self.received += len(data)
        try:
            while data:
                data = data[os.write(self.descriptor, data) :]
        except OSError as error:
            raise refusal_of(error) from error

    def commit(self, length: int, expected: Mapping[str, bytes]) -> Stored:
        """Give the file its name, if it is complete and all conditions still hold. Upload is of no more use afterwards."""
        try:
            self._verify(length, expected)
            os.ftruncate(self.descriptor, self.received)  # returns what was reserved too much
            checksum.store(self.descriptor, self._adler32)
            if self._terms.durable:
                os.fdatasync(self.descriptor)
            with locked(self._place.directory):
                created = self._take_name()
            if self._terms.durable:
                os.fsync(self._place.directory)
            return Stored(created, os.fstat(self.descriptor), self._adler32.to_bytes(4, "big"))
        except OSError as error:
            raise refusal_of(error) from error
        finally:
            self.abort()

    def abort(self) -> None:
        """Nothing is left over. May be called at any time, and again."""
        if self._hidden is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._hidden, dir_fd=self._place.directory)
            self._journal.forget(self._hidden)
            self._hidden = None
        self._exit.close()

    # --- before the body

    def _inspect(self, old: os.stat_result | None) -> None:
        if old is not None and is_collection(old):
            raise Refusal("is_collection")
        self._terms.precondition(old)
        if old is not None and not self._terms.may_replace:
            raise Refusal("replace_not_in_scope")
        replace.inspect(self._place, old, self._area)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC
        os.umask(self._area.umask)  # of this thread (see threads.py); a default ACL takes its place
        try:
            return os.open(".", flags | os.O_TMPFILE, 0o666, dir_fd=self._place.directory)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT):
                raise refusal_of(error) from error
            return self._open_hidden(flags)

    def _open_hidden(self, flags: int) -> int:
        name = b".teapot-" + secrets.token_hex(12).encode()
        self._journal.note(self._place.directory, name)
        try:
            descriptor = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=self._place.directory)
        except OSError as error:
            self._journal.forget(name)
            raise refusal_of(error) from error
        self._hidden = name
        return descriptor

    def _reserve(self, length: int) -> None:
        try:
            file_calls.reserve(self.descriptor, length)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
                raise refusal_of(error) from error
            space = os.fstatvfs(self.descriptor)
            if space.f_bavail * space.f_frsize < length:
                raise Refusal("no_space", f"{length} bytes announced") from error

    # --- after the body

    def _verify(self, length: int, expected: Mapping[str, bytes]) -> None:
        if self.received != length:
            raise Refusal("body_too_short", f"{self.received} of {length} bytes")
        found = {"adler32": self._adler32.to_bytes(4, "big")}
        if self._md5:
            found["md5"] = self._md5.digest()
        for algorithm, value in expected.items():
            if found[algorithm] != value:
                raise Refusal("digest_mismatch", algorithm)

    def _take_name(self) -> bool:
        """Under the directory's lock: look once more, then take the name. True: nothing had it before."""
        old = self._place.status()
        self._inspect(old)
        if old is None:
            with contextlib.suppress(FileExistsError):
                self._name_new(self._place.name)
                return True
            old = self._place.status()  # somebody who takes no locks was faster
            self._inspect(old)
        if old is not None:
            replace.take_over(self.descriptor, self._place, old, self._area, self._name_hidden)
        return False

    def _name_new(self, name: bytes) -> None:
        if self._hidden is None:
            file_calls.link_descriptor(self.descriptor, self._place.directory, name)
        else:
            file_calls.rename_new(self._place.directory, self._hidden, self._place.directory, name)
            self._journal.forget(self._hidden)
            self._hidden = None

    def _name_hidden(self) -> Place:
        """A hidden name for the data, which a rename can then put in the place of the old file."""
        if self._hidden is None:
            name = b".teapot-" + secrets.token_hex(12).encode()
            self._journal.note(self._place.directory, name)
            file_calls.link_descriptor(self.descriptor, self._place.directory, name)
            self._hidden = name
        return Place(self._place.directory, self._hidden)
