"""The properties of files and collections as XML, with the literal prefix D that some clients look for. Pure.

Quotas are told of collections only: a client takes quota-used-bytes of a file for its size. In an answer to allprop no element is
empty, because a client takes an empty one for a broken listing; so a file has no resourcetype there.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

from teapot.worker import content_types, entity, http_dates, names
from teapot.worker.propfind_request import Kind, Name, Wanted

DAV = "DAV:"


class Quota(NamedTuple):
    used: int
    available: int


class Resource(NamedTuple):
    href: str  # escaped for a URL, not for XML
    name: bytes
    collection: bool
    status: os.stat_result | None  # None: no wanted property needs it
    quota: Quota


def _size(one: Resource) -> str | None:
    assert one.status is not None
    return None if one.collection else str(one.status.st_size)


def _modified(one: Resource) -> str:
    assert one.status is not None
    return http_dates.http_date(int(one.status.st_mtime))


def _created(one: Resource) -> str:
    """The oldest time that the file system has told us; it keeps no other that stat(2) knows."""
    assert one.status is not None
    return http_dates.iso_date(int(min(one.status.st_mtime, one.status.st_ctime)))


def _etag(one: Resource) -> str | None:
    assert one.status is not None
    return None if one.collection else entity.etag(one.status).decode()


_TABLE: dict[str, Callable[[Resource], str | None]] = {
    "resourcetype": lambda one: "<D:collection/>" if one.collection else "",
    "displayname": lambda one: names.shown(one.name),
    "getcontentlength": _size,
    "getlastmodified": _modified,
    "creationdate": _created,
    "getetag": _etag,
    "getcontenttype": lambda one: None if one.collection else content_types.of(one.name).decode(),
    "quota-used-bytes": lambda one: str(one.quota.used) if one.collection else None,
    "quota-available-bytes": lambda one: str(one.quota.available) if one.collection else None,
}
_WITHOUT_STATUS = frozenset(("resourcetype", "displayname", "getcontenttype", "quota-used-bytes", "quota-available-bytes"))
_IN_ALL = tuple(name for name in _TABLE if name != "getcontenttype")


def need_status(wanted: Wanted) -> bool:
    if wanted.kind is Kind.SOME:
        return any(space == DAV and name in _TABLE and name not in _WITHOUT_STATUS for space, name in wanted.properties)
    return True


def response(one: Resource, wanted: Wanted) -> str:
    if wanted.kind is Kind.ALL and not wanted.properties:
        return _response(one.href, _ok(_all_of_collection(one) if one.collection else _all_of_file(one)))
    found, missing = _looked_up(one, wanted)
    if wanted.kind is Kind.NAMES:
        return _response(one.href, _ok("".join(f"<D:{name}/>" for name, _ in found)))
    text = _ok("".join(f"<D:{name}>{value}</D:{name}>" if value else f"<D:{name}/>" for name, value in found))
    if missing:
        text += _propstat("".join(map(_empty, missing)), "404 Not Found")
    return _response(one.href, text)


def _looked_up(one: Resource, wanted: Wanted) -> tuple[list[tuple[str, str]], list[Name]]:
    """What there is, with its value as XML, and what there is not."""
    asked = list(wanted.properties)
    if wanted.kind is not Kind.SOME:
        asked = list(dict.fromkeys([*((DAV, name) for name in _IN_ALL), *asked]))
    found: list[tuple[str, str]] = []
    missing: list[Name] = []
    for space, name in asked:
        value = _TABLE[name](one) if space == DAV and name in _TABLE else None
        if value is None:
            missing.append((space, name))
        elif value or wanted.kind is Kind.SOME:
            found.append((name, value))
    if wanted.kind is not Kind.SOME:
        missing = [name for name in missing if name in wanted.properties]
    return found, missing


def _all_of_file(one: Resource) -> str:
    """As the table says; written out, because a large collection has a great many of these."""
    status, shown = one.status, names.shown(one.name)
    assert status is not None
    name = f"<D:displayname>{shown}</D:displayname>" if shown else ""
    return (
        f"{name}<D:getcontentlength>{status.st_size}</D:getcontentlength>"
        f"<D:getlastmodified>{http_dates.http_date(int(status.st_mtime))}</D:getlastmodified>"
        f"<D:creationdate>{http_dates.iso_date(int(min(status.st_mtime, status.st_ctime)))}</D:creationdate>"
        f"<D:getetag>{entity.etag(status).decode()}</D:getetag>"
    )


def _all_of_collection(one: Resource) -> str:
    found = ((name, _TABLE[name](one)) for name in _IN_ALL)
    return "".join(f"<D:{name}>{value}</D:{name}>" for name, value in found if value)


def _response(href: str, propstats: str) -> str:
    return f"<D:response><D:href>{href.replace('&', '&amp;')}</D:href>{propstats}</D:response>\n"


def _ok(properties: str) -> str:
    return f"<D:propstat><D:prop>{properties}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"


def _propstat(properties: str, status: str) -> str:
    return f"<D:propstat><D:prop>{properties}</D:prop><D:status>HTTP/1.1 {status}</D:status></D:propstat>"


def _empty(name: Name) -> str:
    space, local = name
    if space == DAV:
        return f"<D:{local}/>"
    return f'<x:{local} xmlns:x="{names.in_text(space)}"/>' if space else f"<{local}/>"
