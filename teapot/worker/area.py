"""A storage area as this worker's account sees it: everything is reached relative to the descriptor of its root.

Paths are bytes, relative to the root, segments joined by "/"; b"" is the root itself. No path strings are joined and compared: that
nothing leads out of the area is the kernel's business (kernel/openat2.py). A symbolic link is followed where it is relative and stays
inside; an absolute one is refused even if it points inside, because the kernel does not know where the area is "absolutely".
"""

import contextlib
import copy
import errno
import os
import stat
from collections.abc import Iterator

from msgspec import structs

from teapot.accounts import Account
from teapot.configuration import StorageArea
from teapot.kernel.openat2 import open_beneath
from teapot.worker import area_roots, checksum, residency, space_commands
from teapot.worker.creation import Creation
from teapot.worker.gauge import Gauge
from teapot.worker.place import Place, Target, open_directory
from teapot.worker.refusal import Refusal, refusal_of
from teapot.worker.residency import Residency
from teapot.worker.site_commands import SiteCommands

# A FIFO must not block us, a terminal must not become ours.
SAFELY = os.O_NONBLOCK | os.O_NOCTTY
_MAX_LINKS = 8  # one after the other at the end of a path
_MAX_NAME_BYTES, _MAX_PATH_BYTES = 255, 4095
_NO_PARENT = {errno.ENOENT: "parent_missing"}
_NOTHING_BELOW = {errno.ENOTDIR: "not_found"}  # of what is to be read, moved or removed: below a file there is nothing


class Area:
    """`root` may be a descriptor of kind O_PATH: a root that can be entered but not read is as good. `group`: of what is made; -1: any."""

    def __init__(self, settings: StorageArea, root: int, group: int = -1, commands: SiteCommands | None = None) -> None:
        self.settings = settings
        self.name = settings.name
        self.root = root
        self._within = b""
        self._links = True
        self.residency = residency.of_area(settings.residency, settings.name, commands)
        self.content_attributes = checksum.ATTRIBUTES | residency.attributes(settings.residency)  # another content has others
        mode = int(settings.directory_mode, 8) if settings.directory_mode else None
        self.creation = Creation(int(settings.umask, 8), group, mode)
        self.gauge = Gauge(settings.space, group, space_commands.asker(settings, commands))

    def seen(self, path: str, within: bytes, links: bool = True) -> "Area":
        """The same area under this path of URLs, an alias: hrefs follow it. Below `within` no symbolic link leads out of `within`;
        without `links` none is followed."""
        if path in ("", self.settings.path) and not within and links:
            return self
        seen = copy.copy(self)
        seen.settings = structs.replace(self.settings, path=path or self.settings.path)
        seen._within, seen._links = within, links
        return seen

    def open(self, path: bytes, flags: int) -> int:
        """The caller looks at what it got (fstat) before it reads: it may be a FIFO or a device. Refusal as the kernel refuses.

        A file's content is not opened where that would wait for a tape.
        """
        _check(path)
        try:
            with self._floor(path) as (floor, rest):
                if self.residency and not flags & (os.O_PATH | os.O_DIRECTORY):
                    return _open_content(self.residency, floor, rest, flags, links=self._links)
                return open_beneath(floor, rest, flags if flags & os.O_PATH else flags | SAFELY, links=self._links)
        except OSError as error:
            raise refusal_of(error, _NOTHING_BELOW) from error

    def directory(self, path: bytes) -> int:
        """Open. OSError as open(2)."""
        with self._floor(path) as (floor, rest):
            return open_directory(floor, rest, links=self._links)

    @contextlib.contextmanager
    def _floor(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        """What the path is not to lead out of, and the rest of the path. What the token's scope names is found from the root."""
        if not self._within or not path.startswith(self._within + b"/"):
            yield self.root, path
            return
        floor = open_beneath(self.root, self._within, os.O_PATH | os.O_DIRECTORY)
        try:
            yield floor, path[len(self._within) + 1 :]
        finally:
            os.close(floor)

    @contextlib.contextmanager
    def opened(self, path: bytes, flags: int = os.O_RDONLY) -> Iterator[int]:
        descriptor = self.open(path, flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def status(self, path: bytes) -> os.stat_result:
        """Of what stands at the path, symbolic links followed as far as they stay inside. Needs no permission on the file itself."""
        with self.opened(path, os.O_PATH) as descriptor:
            return os.fstat(descriptor)

    def refuse_offline(self, place: Place) -> None:
        """Of a file that stands there already, before its content is read or changed."""
        if self.residency:
            descriptor = os.open(place.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.directory)
            try:
                self.residency.refuse_offline(descriptor, os.fstat(descriptor))
            finally:
                os.close(descriptor)

    @contextlib.contextmanager
    def place(self, path: bytes) -> Iterator[Place]:
        """The parent collection, open, and the last segment: for what changes a name that exists. The root is not such a name."""
        self._may_change(path)
        parent, _, name = path.rpartition(b"/")
        try:
            directory = self.directory(parent)
        except OSError as error:
            raise refusal_of(error, _NOTHING_BELOW) from error
        try:
            yield Place(directory, name)
        finally:
            os.close(directory)

    @contextlib.contextmanager
    def target(self, path: bytes, *, follow: bool = False) -> Iterator[Target]:
        """Where something is to be written. parent_missing unless the area makes parents; nothing is made here yet.

        `follow`: a symbolic link at the end stands for what it points to, there or not, as open(2) takes it.
        """
        self._may_change(path)
        for _ in range(_MAX_LINKS):
            parent, _, name = path.rstrip(b"/").rpartition(b"/")
            if name in (b"", b".", b".."):
                raise Refusal("is_collection", "a symbolic link ends in a dot segment")
            directory, missing = self._nearest(parent)
            try:
                _must_be_free(directory, missing)
                link = _link_text(directory, name) if follow and not missing else None
                if link is None:
                    yield Target(directory, missing, name)
                    return
            finally:
                os.close(directory)
            if link.startswith(b"/") or not self._links:
                raise Refusal("leaves_area", "a symbolic link that is absolute, or where none is followed")
            path = parent + b"/" + link if parent else link
        raise Refusal("leaves_area", "too many symbolic links")

    def _may_change(self, path: bytes) -> None:
        _check(path)
        if not path:
            raise Refusal("area_root_fixed")
        self.may_annotate()

    def may_annotate(self) -> None:
        """Properties and locks, which the root may have too."""
        if self.settings.read_only:
            raise Refusal("read_only")

    def _nearest(self, parent: bytes) -> tuple[int, tuple[bytes, ...]]:
        """The nearest collection that exists, from the parent upwards, open; and the segments below it that do not."""
        segments = parent.split(b"/") if parent else []
        for present in range(len(segments), -1, -1):
            try:
                directory = self.directory(b"/".join(segments[:present]))
            except FileNotFoundError as error:
                if not self.settings.create_parents or not present:
                    raise refusal_of(error, _NO_PARENT) from error
            except OSError as error:
                raise refusal_of(error) from error
            else:
                return directory, tuple(segments[present:])
        raise AssertionError("the loop ends at the root")


def _open_content(residency: Residency, floor: int, path: bytes, flags: int, *, links: bool) -> int:
    seen = open_beneath(floor, path, os.O_PATH, links=links)
    try:
        status = os.fstat(seen)
        if not is_file(status):
            return open_beneath(floor, path, flags | SAFELY, links=links)
        residency.refuse_offline(seen, status)
        with residency.opening(status):
            return open_beneath(floor, path, flags | SAFELY, links=links)
    finally:
        os.close(seen)


def _must_be_free(directory: int, missing: tuple[bytes, ...]) -> None:
    """Where making collections would not help: a link that points nowhere is in the way, or a link's text goes up through them."""
    if missing and (_link_text(directory, missing[0]) is not None or not {b"", b".", b".."}.isdisjoint(missing)):
        raise Refusal("parent_missing", "a symbolic link points nowhere")


def _link_text(directory: int, name: bytes) -> bytes | None:
    """None: not a symbolic link."""
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise refusal_of(error) from error


def _check(path: bytes) -> None:
    """The gateway has refused these already; a worker does not rely on it."""
    segments = path.split(b"/") if path else []
    if b"\0" in path or any(segment in (b"", b".", b"..") for segment in segments):
        raise Refusal("bad_path")
    if len(path) > _MAX_PATH_BYTES or any(len(segment) > _MAX_NAME_BYTES for segment in segments):
        raise Refusal("name_too_long")


def is_collection(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode)


def is_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode)


def of_account(areas: tuple[StorageArea, ...], account: Account) -> tuple[StorageArea, ...]:
    """Those that this account may be served in."""
    return tuple(area for area in areas if area.account in ("identity", "vo", account.name) or area.anonymous_account == account.name)


def open_areas(areas: tuple[StorageArea, ...], account: Account, commands: SiteCommands | None) -> dict[str, Area | Refusal]:
    """Or why they cannot be. Asks NSS for a group: call it before the cage is closed."""
    opened: dict[str, Area | Refusal] = {}
    for area in areas:
        try:
            group = area_roots.group(area, account)
            opened[area.name] = Area(area, area_roots.open_root(area, account), group, commands)
        except Refusal as refusal:
            opened[area.name] = refusal
    return opened
