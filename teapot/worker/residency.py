"""Where a file's content is: on disk, or only on a tape from which opening or reading it would recall it, and wait for that.

Asked before a file's content is opened, of an extended attribute or of a program of the site's; neither recalls anything. What only needs
a file's name or inode (HEAD, PROPFIND, DELETE, MOVE, locks) does not open it. And of those who read one file, one at a time opens it: if
that hangs all the same, because the answer was old, it hangs for one of them and not for all.
"""

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Iterator

from teapot.configuration import Residency as Settings
from teapot.worker import localities
from teapot.worker.asked_by_command import AskedByCommand
from teapot.worker.refusal import Refusal, refusal_of
from teapot.worker.site_commands import SiteCommands

# Of a file that is open with O_PATH: one of LOCALITIES. Refusal when it cannot be told.
Ask = Callable[[int, os.stat_result], str]

_READABLE = frozenset(("ONLINE", "ONLINE_AND_NEARLINE"))
_NO_ATTRIBUTE = frozenset((errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSYS))
_OPENING_S = 1.0  # an open that takes longer waits for a tape

_Identity = tuple[int, int]


class Offline(Refusal):
    """409 says where the content is."""

    def __init__(self, locality: str, detail: str = "") -> None:
        super().__init__("offline" if locality == "NEARLINE" else "content_unavailable", detail or locality)
        self.fields = [(b"locality", locality.encode())]


class Residency:
    """Of the files of one storage area."""

    def __init__(self, ask: Ask, *, quick: bool = True) -> None:
        """quick: it can be asked about each member of a collection."""
        self._ask, self.quick = ask, quick
        self._opening: dict[_Identity, float] = {}  # since when
        self._changed = threading.Condition()

    def locality(self, descriptor: int, status: os.stat_result) -> str:
        return self._ask(descriptor, status) if status.st_size else "ONLINE"

    def is_readable(self, descriptor: int, status: os.stat_result) -> bool:
        return self.locality(descriptor, status) in _READABLE

    def refuse_offline(self, descriptor: int, status: os.stat_result) -> None:
        locality = self.locality(descriptor, status)
        if locality not in _READABLE:
            raise Offline(locality)

    @contextlib.contextmanager
    def opening(self, status: os.stat_result) -> Iterator[None]:
        """One at a time, of each file; the others wait for a moment."""
        identity = status.st_dev, status.st_ino
        with self._changed:
            if not self._changed.wait_for(lambda: identity not in self._opening, self._patience_s(identity)):
                raise Offline("NEARLINE", "another request waits for its content")
            self._opening[identity] = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                del self._opening[identity]
                self._changed.notify_all()

    def _patience_s(self, identity: _Identity) -> float:
        begun = self._opening.get(identity)
        return max(0.0, begun + _OPENING_S - time.monotonic()) if begun else _OPENING_S


def of_area(settings: Settings | None, name: str, commands: SiteCommands | None) -> Residency | None:
    """None: everything is on disk."""
    if settings is None:
        return None
    if settings.attribute:
        return Residency(lambda descriptor, status: _said_by_attribute(settings.attribute, descriptor))
    if settings.migrated_attribute:
        return Residency(lambda descriptor, status: _said_by_blocks(settings.migrated_attribute, descriptor, status))
    return Residency(AskedByCommand(settings, command_name(name), commands), quick=False)


def command_name(area: str) -> str:
    return f"residency of {area}"


def attributes(settings: Settings | None) -> frozenset[str]:
    """What the tape system keeps with a file's content: another content is not to have it."""
    return frozenset((settings.attribute, settings.migrated_attribute)) - {""} if settings else frozenset()


def _said_by_attribute(name: str, descriptor: int) -> str:
    """A file without it has never been on tape."""
    value = _attribute(name, descriptor)
    return "ONLINE" if value is None else localities.word(value, name)


def _said_by_blocks(name: str, descriptor: int, status: os.stat_result) -> str:
    """As StoRM's tape system has it: what has been migrated is a stub while it has fewer blocks than bytes. Others are sparse files."""
    if _attribute(name, descriptor) is None:
        return "ONLINE"
    return "NEARLINE" if status.st_blocks * 512 < status.st_size else "ONLINE_AND_NEARLINE"


def _attribute(name: str, descriptor: int) -> bytes | None:
    """By path: a descriptor that takes attribute calls would have been opened."""
    try:
        return os.getxattr(f"/proc/self/fd/{descriptor}", name)
    except OSError as error:
        if error.errno in _NO_ATTRIBUTE:
            return None
        raise refusal_of(error) from error
