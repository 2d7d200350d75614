"""What files and collections that are made in a storage area have: umask, group and, for collections, mode, as the area's settings say."""

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AS_THE_KERNEL_SAYS = -1  # the account's primary group, or that of a setgid directory


class Creation(NamedTuple):
    umask: int
    group: int = _AS_THE_KERNEL_SAYS
    directory_mode: int | None = None  # None: as mkdir(2) makes it

    @contextlib.contextmanager
    def masked(self) -> Iterator[None]:
        """Each of the worker's threads has a umask of its own (threads.py)."""
        before = os.umask(self.umask)
        try:
            yield
        finally:
            os.umask(before)

    def of_file(self, descriptor: int) -> None:
        if self.group != _AS_THE_KERNEL_SAYS:
            os.fchown(descriptor, -1, self.group)

    def make_directory(self, name: bytes, above: int) -> None:
        """As mkdir(2): a default ACL takes the umask's place, a setgid bit is passed on. FileExistsError, OSError."""
        with self.masked():
            os.mkdir(name, 0o777, dir_fd=above)
        if self.group == _AS_THE_KERNEL_SAYS and self.directory_mode is None:
            return
        descriptor = os.open(name, _DIRECTORY, dir_fd=above)
        try:
            self._finish(descriptor)
        except OSError:
            os.rmdir(name, dir_fd=above)
            raise
        finally:
            os.close(descriptor)

    def _finish(self, descriptor: int) -> None:
        """Group before mode: a change of the group takes the setgid bit away."""
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            raise PermissionError("somebody else has put a collection of theirs in its place")
        if self.group != _AS_THE_KERNEL_SAYS:
            os.fchown(descriptor, -1, self.group)
            os.fchmod(descriptor, status.st_mode & 0o7777)
        if self.directory_mode is not None:
            os.fchmod(descriptor, self.directory_mode)
