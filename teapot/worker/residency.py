"""Where a file's content is: on disk, or only on a tape from which opening or reading it would recall it, and wait for that.

Asked before a file's content is opened, of an extended attribute or of a program of the site's; neither recalls anything. What only needs
a file's name or inode (HEAD, PROPFIND, DELETE, MOVE, locks) does not open it. And of those who read one file, one at a time opens it: if
that hangs all the same, because the answer was old, it hangs for one of them and not for all.
"""

import contextlib
import errno
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from teapot.configuration import Residency as Settings
from teapot.worker.command_runner import CommandFailed
from teapot.worker.refusal import Refusal, refusal_of
from teapot.worker.site_commands import SiteCommands

# Of a file that is open with O_PATH: one of LOCALITIES. Refusal when it cannot be told.
Ask = Callable[[int, os.stat_result], str]

_READABLE = frozenset(("ONLINE", "ONLINE_AND_NEARLINE"))
# SRM's words, and those of the WLCG tape REST API.
_WORDS = {one: one for one in ("ONLINE", "ONLINE_AND_NEARLINE", "NEARLINE", "UNAVAILABLE", "LOST", "NONE")}
_WORDS |= {"DISK": "ONLINE", "DISK_AND_TAPE": "ONLINE_AND_NEARLINE", "TAPE": "NEARLINE"}
_NO_ATTRIBUTE = frozenset((errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSYS))
_LUSTRE = re.compile(rb".*: \(0x([0-9a-f]{1,8})\)[a-z_ ]*(?:, archive_id:[0-9]+)?\s*", re.DOTALL)
_RELEASED, _ARCHIVED, _LOST = 0x4, 0x8, 0x40  # flags of lfs hsm_state
_OPENING_S = 1.0  # an open that takes longer waits for a tape
_LEEWAY_S = 2.0
_MOST_KNOWN = 4096

_Identity = tuple[int, int]
_Version = tuple[int, int, int, int]


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
    return Residency(_ByCommand(settings, command_name(name), commands), quick=False)


def command_name(area: str) -> str:
    return f"residency of {area}"


def attributes(settings: Settings | None) -> frozenset[str]:
    """What the tape system keeps with a file's content: another content is not to have it."""
    return frozenset((settings.attribute, settings.migrated_attribute)) - {""} if settings else frozenset()


def _said_by_attribute(name: str, descriptor: int) -> str:
    """A file without it has never been on tape."""
    value = _attribute(name, descriptor)
    return "ONLINE" if value is None else _word(value, name)


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


def _word(said: bytes, who: str) -> str:
    word = said.strip(b" \t\r\n\0").decode("latin-1").upper()
    if word not in _WORDS:
        raise Refusal("residency_unknown", f"{who} says {ascii(word[:60])}")
    return _WORDS[word]


def _lustre(said: bytes, who: str) -> str:
    """`/mnt/file: (0x0000000d) released exists archived, archive_id:1`"""
    match = _LUSTRE.fullmatch(said)
    if not match:
        raise Refusal("residency_unknown", f"{who} says {ascii(said[-60:].decode('latin-1'))}")
    flags = int(match[1], 16)
    if flags & _RELEASED:
        return "LOST" if flags & _LOST else "NEARLINE"
    return "ONLINE_AND_NEARLINE" if flags & _ARCHIVED else "ONLINE"


class _Run:
    """Waited for by all who ask about the file meanwhile."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.locality = ""
        self.failure = ""


class _ByCommand:
    """One run for each version of a file at a time; what it says counts for a while."""

    def __init__(self, settings: Settings, name: str, commands: SiteCommands | None) -> None:
        self._settings, self._name, self._commands = settings, name, commands
        self._known: OrderedDict[_Version, tuple[float, str]] = OrderedDict()
        self._runs: dict[_Version, _Run] = {}
        self._lock = threading.Lock()

    def __call__(self, descriptor: int, status: os.stat_result) -> str:
        version = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        with self._lock:
            until, locality = self._known.get(version, (0.0, ""))
            if time.monotonic() < until:
                return locality
            first = version not in self._runs
            run = self._runs.setdefault(version, _Run())
        if first:
            self._carry_out(run, version, descriptor)
        if not run.over.wait(self._settings.timeout_s + _LEEWAY_S) or run.failure:
            raise Refusal("residency_unknown", run.failure or "the command takes too long")
        return run.locality

    def _carry_out(self, run: _Run, version: _Version, descriptor: int) -> None:
        try:
            run.locality = self._said(descriptor)
        except CommandFailed as failed:
            run.failure = str(failed)
        except Refusal as refusal:
            run.failure = refusal.detail
        except BaseException as fault:
            run.failure = f"{type(fault).__name__}: {fault}"
            raise
        finally:
            self._remember(run, version)
            run.over.set()

    def _said(self, descriptor: int) -> str:
        if self._commands is None:
            raise CommandFailed("nobody runs commands here")
        path = os.readlink(f"/proc/self/fd/{descriptor}")  # without symbolic links, and inside the area
        said = self._commands.output(self._name, os.fsencode(path))
        return (_lustre if self._settings.answer == "lustre" else _word)(said, self._settings.command[0])

    def _remember(self, run: _Run, version: _Version) -> None:
        with self._lock:
            del self._runs[version]
            if not run.failure and self._settings.ttl_s:
                self._known[version] = time.monotonic() + self._settings.ttl_s, run.locality
                self._known.move_to_end(version)
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
