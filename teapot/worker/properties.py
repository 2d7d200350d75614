"""One response of a multistatus: the properties of one resource, live and dead, as text.

The form is what data-lake clients read (some without an XML parser): literal prefix D:, in each response href, then propstat with prop and
status, the one with 200 first; no empty elements; collections end in "/".
"""

import os
import stat
from collections.abc import Callable, Collection
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from teapot.space.amounts import Space
from teapot.worker.area import is_collection
from teapot.worker.content_types import content_type
from teapot.worker.entity import etag
from teapot.worker.http_dates import http_date, iso_date
from teapot.worker.propfind_request import Property, Wanted

FILE_OF_ANY_SIZE = os.stat_result((stat.S_IFREG, *[0] * 9))
COLLECTION_OF_ANY_TIME = os.stat_result((stat.S_IFDIR, *[0] * 9))


class Resource(NamedTuple):
    name: bytes  # the last segment
    status: os.stat_result
    space: Callable[[], Space | None] | None  # of the collection that was asked about; None for members


class Kept(NamedTuple):
    """What is told of a resource's annotations: dead properties as elements, the content of lockdiscovery, and of supportedlock."""

    properties: dict[Property, str]
    discovery: str
    supported: str  # "": this storage keeps no locks


def _quota(resource: Resource, used: bool) -> str | None:
    """RFC 4331, for the collection that was asked about. A source that fails leaves the property out: nothing is invented."""
    space = resource.space() if resource.space else None
    return None if space is None else str(space.used if used else space.available)


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

_FROM_THE_INODE = frozenset(("getcontentlength", "getlastmodified", "creationdate", "getetag"))


def need_status(wanted: Wanted) -> bool:
    """Whether anything is asked for that only the inode tells; a member's name and kind are in its directory."""
    if wanted.properties is None:
        return not wanted.names_only
    return any(asked.namespace == "DAV:" and asked.name in _FROM_THE_INODE for asked in wanted.properties)


# The same values for a file with a plain name, to be filled in at one stroke: a listing is mostly made of these.
_PLAIN_FILE = {
    "displayname": "%(name)s",
    "getcontentlength": "%(size)d",
    "getlastmodified": "%(modified)s",
    "creationdate": "%(created)s",
    "getetag": "%(etag)s",
    "getcontenttype": "%(kind)s",
}


def plain_file(wanted: Wanted, kept: Kept) -> str:
    """The response of a file with a plain name, to be filled in with `%`: href, name, size, modified, created, etag, kind."""
    safe = kept._replace(discovery=_percent_escaped(kept.discovery))
    return _assembled("%(href)s", _PLAIN_FILE.keys(), _PLAIN_FILE.get, wanted, safe, literal=_percent_escaped)


def _percent_escaped(text: str) -> str:
    return text.replace("%", "%%")


def response(link: str, resource: Resource, wanted: Wanted, kept: Kept) -> str:
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
