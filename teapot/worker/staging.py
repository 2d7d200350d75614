"""Data that has no visible name yet: written first, then named at one stroke, or discarded without a trace.

With O_TMPFILE it has no name at all, and the kernel forgets it with the process. Where the file system has none (NFS, some FUSE) it has
a random hidden name in the same directory, journalled before it is made.
"""

import errno
import os

from teapot.kernel import file_calls
from teapot.worker.creation import Creation
from teapot.worker.journal import Journal, hidden_name
from teapot.worker.place import Place
from teapot.worker.refusal import refusal_of

_FLAGS = os.O_RDWR | os.O_CLOEXEC
_MODE = 0o666  # less the area's umask, or as a default ACL of the directory says
_NO_TMPFILE = frozenset((errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS))


class Staged:
    def __init__(self, directory: int, creation: Creation, journal: Journal, *, durable: bool, private: bool = False) -> None:
        """In this directory, or in one below it, the data will get its name. The directory is the caller's, and stays open.

        `private`: it takes the place of a file, who may read it is not known yet. Until then a hidden name is the account's alone.
        """
        self._directory, self._journal = directory, journal
        self._hidden_mode = 0o600 if private else _MODE
        self._hidden: bytes | None = None
        try:
            with creation.masked():
                self.descriptor = self._open(durable)
        except OSError as error:
            raise refusal_of(error, {errno.ENOENT: "parent_missing"}) from error
        try:
            creation.of_file(self.descriptor)
        except OSError as error:
            self.discard()
            raise refusal_of(error) from error

    def _open(self, durable: bool) -> int:
        try:
            return os.open(".", _FLAGS | os.O_TMPFILE, _MODE, dir_fd=self._directory)
        except OSError as error:
            if error.errno not in _NO_TMPFILE:
                raise
        name = hidden_name()
        self._journal.note(self._directory, name, durable=durable)
        try:
            descriptor = os.open(name, _FLAGS | os.O_CREAT | os.O_EXCL, self._hidden_mode, dir_fd=self._directory)
        except BaseException:
            self._journal.forget(name)
            raise
        self._hidden = name
        return descriptor

    def link(self, place: Place) -> None:
        """FileExistsError when the name is taken."""
        if self._hidden is None:
            file_calls.link_descriptor(self.descriptor, place.directory, place.name)
        else:
            file_calls.rename_new(self._directory, self._hidden, place.directory, place.name)
            self._journal.forget(self._hidden)
            self._hidden = None

    def replace(self, place: Place) -> None:
        """Take the name from the file that has it, at one stroke."""
        nameless = self._hidden is None
        hidden = self._link_hidden(place.directory) if self._hidden is None else self._hidden
        source = place.directory if nameless else self._directory
        try:
            os.rename(hidden, place.name, src_dir_fd=source, dst_dir_fd=place.directory)
        except BaseException:
            if nameless:
                self._unlink(place.directory, hidden)
            raise
        self._journal.forget(hidden)
        self._hidden = None

    def _link_hidden(self, directory: int) -> bytes:
        """A name for the moment until the rename: link(2) cannot replace. Not worth waiting for the disk."""
        name = hidden_name()
        self._journal.note(directory, name, durable=False)
        try:
            file_calls.link_descriptor(self.descriptor, directory, name)
        except BaseException:
            self._journal.forget(name)
            raise
        return name

    def discard(self) -> None:
        """The data goes, unless it has got its name. To be called once, before the directory is closed."""
        if self._hidden is not None:
            self._unlink(self._directory, self._hidden)
        os.close(self.descriptor)

    def _unlink(self, directory: int, hidden: bytes) -> None:
        """What cannot be removed stays noted, for a later worker."""
        try:
            os.unlink(hidden, dir_fd=directory)
        except FileNotFoundError:
            pass
        except OSError:
            return
        self._journal.forget(hidden)
