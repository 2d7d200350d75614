"""PROPFIND: a 207 in pieces, the collection itself first, members as the directory gives them, nothing kept in memory.

The form is what data-lake clients read (some without an XML parser): literal prefix D:, in each response href, then propstat with prop and
status, the one with 200 first; no empty elements; collections end in "/".
"""

import os
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from teapot.worker import annotations, locks
from teapot.worker.annotations import Annotations
from teapot.worker.area import Area, is_collection, is_file
from teapot.worker.content_types import content_type
from teapot.worker.entity import etag
from teapot.worker.hrefs import PLAIN, escaped, href
from teapot.worker.http_dates import http_date, iso_date
from teapot.worker.journal import is_hidden
from teapot.worker.lock_properties import SUPPORTED_LOCK, discovery, element
from teapot.worker.locks import Held
from teapot.worker.propfind_request import Property, Wanted
from teapot.worker.refusal import Refusal

_MEMBERS_A_PIECE = 100
_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">\n'
_TAIL = "</D:multistatus>\n"


class Resource(NamedTuple):
    name: bytes  # the last segment
    status: os.stat_result
    descriptor: int | None  # of the collection that was asked about; None for members


def _quota(resource: Resource, used: bool) -> str | None:
    """Of the file system, for the collection that was asked about (RFC 4331)."""
    if resource.descriptor is None:
        return None
    space = os.fstatvfs(resource.descriptor)
    blocks = space.f_blocks - space.f_bfree if used else space.f_bavail
    return str(blocks * space.f_frsize)


def _display_name(resource: Resource) -> str | None:
    """XML 1.0 has no way to write control characters: such a name has its href only."""
    try:
        name = resource.name.decode()
    except UnicodeDecodeError:
        return None
    return escape(name) if name and name.isprintable() else None


_FILE: dict[str, Callable[[Resource], str | None]] = {
    "displayname": _display_name,
    "getcontentlength": lambda r: str(r.status.st_size),
    "getlastmodified": lambda r: http_date(int(r.status.st_mtime)),
    "creationdate": lambda r: iso_date(int(r.status.st_mtime)),
    "getetag": lambda r: escape(etag(r.status).decode()),
    "getcontenttype": lambda r: content_type(r.name).decode(),
}
_COLLECTION: dict[str, Callable[[Resource], str | None]] = {
    "displayname": _display_name,
    "getlastmodified": lambda r: http_date(int(r.status.st_mtime)),
    "creationdate": lambda r: iso_date(int(r.status.st_mtime)),
    "getetag": lambda r: escape(etag(r.status).decode()),
    "resourcetype": lambda r: "<D:collection/>",
    "quota-available-bytes": lambda r: _quota(r, used=False),
    "quota-used-bytes": lambda r: _quota(r, used=True),
}


# The same values for a file with a plain name, to be filled in at one stroke: a listing is mostly made of these.
_PLAIN_FILE = {
    "displayname": "%(name)s",
    "getcontentlength": "%(size)d",
    "getlastmodified": "%(modified)s",
    "creationdate": "%(created)s",
    "getetag": "%(etag)s",
    "getcontenttype": "%(kind)s",
}


class Kept(NamedTuple):
    """What is told of a resource's annotations: dead properties as elements, the content of lockdiscovery, and of supportedlock."""

    properties: dict[Property, str]
    discovery: str
    supported: str  # "": this storage keeps no locks


class Annotated:
    """Looks annotations up, where the request asks for some."""

    def __init__(self, area: Area, path: bytes, descriptor: int, wanted: Wanted) -> None:
        self._area, self._path, self._descriptor = area, path, descriptor
        asked = wanted.properties
        self.looked_for = asked is None or any(_may_be_annotated(one) for one in asked)
        self._supported = SUPPORTED_LOCK if locks.storable(area, descriptor) else ""
        self._above = list(locks.above(area, path)) if self.looked_for else []
        here = annotations.read(annotations.below_descriptor(descriptor)) if self.looked_for else annotations.NOTHING
        self._here = [Held(path, lock) for lock in here.locks]
        self.itself = self._kept(here, [*self._here, *self._above])
        self._of_plain_members = self.itself._replace(properties={}, discovery=discovery(area, self._reaching_down()))
        self.plain = self._of_plain_members._replace(discovery=self._of_plain_members.discovery.replace("%", "%%"))

    def _reaching_down(self) -> list[Held]:
        return [*(held for held in self._here if held.lock.deep), *self._above]

    def member(self, name: bytes, link: bool) -> Kept | None:
        """None: as all members that have nothing of their own."""
        if not self.looked_for:
            return None
        path = self._path + b"/" + name if self._path else name
        found = locks.kept(self._area, path) if link else annotations.read(annotations.below_descriptor(self._descriptor, name))
        if found == annotations.NOTHING:
            return None
        return self._kept(found, [*(Held(path, lock) for lock in found.locks), *self._reaching_down()])

    def or_nothing(self, kept: Kept | None) -> Kept:
        return kept or self._of_plain_members

    def _kept(self, found: Annotations, held: list[Held]) -> Kept:
        elements = {_property(name): element(value) for name, value in found.properties}
        proper = {name: text for name, text in elements.items() if text is not None}
        return Kept(proper, discovery(self._area, held), self._supported)


def _may_be_annotated(asked: Property) -> bool:
    return asked.namespace not in annotations.LIVE_NAMESPACES or asked == Property("DAV:", "lockdiscovery")


def _property(clark: str) -> Property:
    namespace, _, name = clark.removeprefix("{").rpartition("}")
    return Property(namespace, name)


def answer(area: Area, path: bytes, deep: bool, wanted: Wanted, *, may_list: bool, files_too: bool) -> Iterator[bytes]:
    """The pieces of the multistatus; refusals are raised before the first piece."""
    descriptor = area.open(path, os.O_PATH)
    try:
        status = os.fstat(descriptor)
        if not is_collection(status) and not files_too:
            raise Refusal("permission_denied", "a file, where the scopes allow a collection only")
        listed = deep and may_list and is_collection(status)
        if listed:  # before the answer begins: a directory that cannot be read is a refusal
            readable = area.open(path, os.O_RDONLY | os.O_DIRECTORY)
            os.close(descriptor)
            descriptor = readable
    except BaseException:
        os.close(descriptor)
        raise
    return _pieces(area, path, Resource(path.rpartition(b"/")[2], status, descriptor), listed, wanted)


def _pieces(area: Area, path: bytes, itself: Resource, listed: bool, wanted: Wanted) -> Iterator[bytes]:
    descriptor = itself.descriptor
    assert descriptor is not None
    try:
        collection = is_collection(itself.status)
        here = escape(href(area.settings.path, path, collection))
        annotated = Annotated(area, path, descriptor, wanted)
        piece = [_HEAD, _response(here, itself, wanted, annotated.itself)]
        plain_file = _assembled("%(href)s", _PLAIN_FILE.keys(), _PLAIN_FILE.get, wanted, annotated.plain, literal=_percent_escaped)
        if listed:
            with os.scandir(descriptor) as members:
                for member in members:
                    piece.append(_member(area, path, here, member, wanted, plain_file, annotated))
                    if len(piece) >= _MEMBERS_A_PIECE:
                        yield "".join(piece).encode()
                        piece = []
        piece.append(_TAIL)
        yield "".join(piece).encode()
    finally:
        os.close(descriptor)


def _member(area: Area, path: bytes, here: str, member: os.DirEntry[str], wanted: Wanted, plain_file: str, annotated: Annotated) -> str:
    """Files and collections; a symbolic link as what it points to, if that is inside the area."""
    name = os.fsencode(member.name)
    if is_hidden(name):
        return ""
    try:
        status = area.status(path + b"/" + name if path else name) if member.is_symlink() else member.stat(follow_symlinks=False)
    except (OSError, Refusal):  # gone meanwhile, or not ours to see
        return ""
    if not (is_file(status) or is_collection(status)):
        return ""
    kept = annotated.member(name, member.is_symlink())
    if kept is None and is_file(status) and PLAIN(name):
        return plain_file % _values(here, member.name, name, status)
    slash = "/" if is_collection(status) else ""
    return _response(here + escape(escaped(name)) + slash, Resource(name, status, None), wanted, annotated.or_nothing(kept))


def _values(here: str, name: str, raw: bytes, status: os.stat_result) -> dict[str, str | int]:
    seconds = int(status.st_mtime)
    return {
        "href": here + name,
        "name": name,
        "size": status.st_size,
        "modified": http_date(seconds),
        "created": iso_date(seconds),
        "etag": etag(status).decode(),
        "kind": content_type(raw).decode(),
    }


def _percent_escaped(text: str) -> str:
    return text.replace("%", "%%")


def _response(link: str, resource: Resource, wanted: Wanted, kept: Kept) -> str:
    known = _COLLECTION if is_collection(resource.status) else _FILE
    return _assembled(link, known.keys(), lambda name: known[name](resource), wanted, kept)


def _assembled(
    link: str,
    known: Collection[str],
    value: Callable[[str], str | None],
    wanted: Wanted,
    kept: Kept,
    literal: Callable[[str], str] = lambda text: text,
) -> str:
    """`value` of a known name; `literal` what is done to the names that the client sent."""
    missing: list[str] = []
    if wanted.names_only:
        found = [f"<D:{name}/>" for name in (*known, *(("lockdiscovery", "supportedlock") if kept.supported else ()))]
        found += [_empty(name) for name in kept.properties]
    elif wanted.properties is None:
        found = [_element(name, value(name)) for name in known]
        found += [_element("lockdiscovery", kept.discovery or None), *kept.properties.values()]
    else:
        found, missing = _asked(wanted.properties, known, value, kept)
    parts = ["<D:response><D:href>", link, "</D:href>"]
    if found or not missing:
        parts += ["<D:propstat><D:prop>", *found, "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"]
    if missing:
        parts += ["<D:propstat><D:prop>", *map(literal, missing), "</D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>"]
    return "".join((*parts, "</D:response>\n"))


def _asked(
    properties: tuple[Property, ...], known: Collection[str], value_of: Callable[[str], str | None], kept: Kept
) -> tuple[list[str], list[str]]:
    found, missing = [], []
    locking = {"lockdiscovery": kept.discovery, "supportedlock": kept.supported} if kept.supported else {}
    for asked in properties:
        value = (value_of(asked.name) if asked.name in known else locking.get(asked.name)) if asked.namespace == "DAV:" else None
        if value is not None:
            found.append(_element(asked.name, value))
        elif asked in kept.properties:
            found.append(kept.properties[asked])
        elif asked == Property("DAV:", "resourcetype"):
            found.append("<D:resourcetype/>")
        else:
            missing.append(_empty(asked))
    return found, missing


def _element(name: str, value: str | None) -> str:
    return "" if value is None else f"<D:{name}>{value}</D:{name}>"


def _empty(asked: Property) -> str:
    return f"<D:{asked.name}/>" if asked.namespace == "DAV:" else f"<X:{asked.name} xmlns:X={quoteattr(asked.namespace)}/>"
