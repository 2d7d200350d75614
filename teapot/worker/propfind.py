"""PROPFIND: a 207 in pieces, the collection itself first, members as the directory gives them.

Nothing is kept in memory, and only what was asked for is looked up.
"""

import functools
import itertools
import os
from collections.abc import Iterator
from xml.sax.saxutils import escape

from teapot.worker import properties
from teapot.worker.annotated import Annotated
from teapot.worker.area import Area, is_collection, is_file
from teapot.worker.checksum_properties import ChecksumProperties
from teapot.worker.content_types import content_type
from teapot.worker.entity import etag
from teapot.worker.hrefs import PLAIN_TEXT, escaped, href
from teapot.worker.http_dates import http_date, iso_date
from teapot.worker.journal import is_hidden
from teapot.worker.locality_property import LocalityProperty
from teapot.worker.properties import COLLECTION_OF_ANY_TIME, FILE_OF_ANY_SIZE, Resource
from teapot.worker.propfind_request import Wanted
from teapot.worker.refusal import Refusal

_MEMBERS_A_PIECE = 100
_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">\n'
_TAIL = "</D:multistatus>\n"


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
    itself = Resource(path.rpartition(b"/")[2], status, functools.cache(lambda: area.gauge.read(descriptor)))
    return _pieces(area, path, descriptor, itself, listed, wanted)


def _pieces(area: Area, path: bytes, descriptor: int, itself: Resource, listed: bool, wanted: Wanted) -> Iterator[bytes]:
    """Owns the descriptor."""
    try:
        here = escape(href(area.settings.path, path, is_collection(itself.status)))
        annotated = Annotated(area, path, descriptor, wanted)
        kept = LocalityProperty(area, wanted).added(annotated.itself, descriptor, itself.status)
        kept = ChecksumProperties(area, wanted).added(kept, descriptor, itself.status)
        yield (_HEAD + properties.response(here, itself, wanted, kept)).encode()
        if listed:
            yield from _Members(area, path, here, wanted, annotated).pieces(descriptor)
        yield _TAIL.encode()
    finally:
        os.close(descriptor)


class _Members:
    """The responses of a collection's members: most are files with plain names, and of one form."""

    def __init__(self, area: Area, path: bytes, here: str, wanted: Wanted, annotated: Annotated) -> None:
        self._area, self._path, self._here, self._wanted, self._annotated = area, path, here, wanted, annotated
        self._needs_status = properties.need_status(wanted)
        self._plain_file = properties.plain_file(wanted, annotated.nothing)
        by_name = (LocalityProperty(area, wanted), ChecksumProperties(area, wanted))
        self._by_name = [one for one in by_name if one.of_members]  # told only where they are asked for by name

    def pieces(self, directory: int) -> Iterator[bytes]:
        with os.scandir(directory) as members:
            while piece := list(itertools.islice(members, _MEMBERS_A_PIECE)):
                with self._annotated.members():
                    text = "".join(map(self._response, piece))
                yield text.encode()

    def _response(self, member: os.DirEntry[str]) -> str:
        """Files and collections; a symbolic link as what it points to, if that is inside the area."""
        name = os.fsencode(member.name)
        if is_hidden(name):
            return ""
        try:
            status = self._status(member, name)
        except (OSError, Refusal):  # gone meanwhile, or not ours to see
            return ""
        if not (is_file(status) or is_collection(status)):
            return ""
        kept = self._annotated.member(name, member.is_symlink())
        for told in self._by_name:
            kept = told.added_to_member(kept, self._path + b"/" + name if self._path else name)
        if kept is self._annotated.nothing and is_file(status) and PLAIN_TEXT(member.name):
            return self._plain_file % self._values(member.name, status)
        slash = "/" if is_collection(status) else ""
        link = self._here + escape(escaped(name)) + slash
        return properties.response(link, Resource(name, status, None), self._wanted, kept)

    def _status(self, member: os.DirEntry[str], name: bytes) -> os.stat_result:
        if member.is_symlink():
            return self._area.status(self._path + b"/" + name if self._path else name)
        if self._needs_status:
            return member.stat(follow_symlinks=False)
        if member.is_file(follow_symlinks=False):
            return FILE_OF_ANY_SIZE
        if member.is_dir(follow_symlinks=False):
            return COLLECTION_OF_ANY_TIME
        raise Refusal("not_a_file")

    def _values(self, name: str, status: os.stat_result) -> dict[str, str | int]:
        values: dict[str, str | int] = {"href": self._here + name, "name": name, "kind": _kind(name.rpartition(".")[2])}
        if self._needs_status:
            seconds = int(status.st_mtime)
            values["size"] = status.st_size
            values["modified"], values["created"] = http_date(seconds), iso_date(seconds)
            values["etag"] = etag(status).decode()
        return values


@functools.lru_cache(maxsize=256)
def _kind(ending: str) -> str:
    return content_type(b"." + ending.encode("ascii")).decode()
