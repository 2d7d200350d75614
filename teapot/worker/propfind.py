"""PROPFIND: a multistatus made while it is sent, so that its memory does not grow with the collection.

Depth infinity is refused, and so is a missing Depth, which means the same (RFC 4918, section 9.1): a tree is never walked for a request.
Whoever may not see members (no MAY_LIST) is told of the collection itself only.
"""

import itertools
import os
from collections.abc import Generator, Iterator

from teapot.channel.worker_messages import FILES_TOO, MAY_LIST, Request
from teapot.worker import names, properties, propfind_request, reply
from teapot.worker.area import Area, is_collection, is_file
from teapot.worker.bodies import GeneratedBody
from teapot.worker.members import members
from teapot.worker.properties import Quota, Resource
from teapot.worker.propfind_request import Wanted
from teapot.worker.refusal import Refusal
from teapot.worker.reply import Reply
from teapot.worker.storage import Storage

_FIELDS = [(b"content-type", b"application/xml; charset=utf-8")]
_BEGIN = b'<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">\n'
_END = b"</D:multistatus>\n"
_TOGETHER = 100  # members in one piece of the body: some 40 KiB


def serve(request: Request, body: bytes, storage: Storage) -> Reply:
    deep = _depth(request)
    try:
        wanted = propfind_request.read(body)
    except propfind_request.BadXml as wrong:
        raise Refusal("bad_xml", str(wrong)) from wrong
    area = storage.area(request.area)
    status = area.status(request.path)
    _check(request, status)
    own = _own(area, request.path, status)
    if not (deep and own.collection and request.rights & MAY_LIST):
        text = properties.response(own, wanted).encode()
        return _multistatus(piece for piece in (_BEGIN, text, _END))
    directory = area.open(request.path, os.O_RDONLY | os.O_DIRECTORY)
    return _multistatus(_with_members(area, request.path, directory, own, wanted))


def _depth(request: Request) -> bool:
    depth = request.fields.get("depth", b"infinity").strip().lower()
    if depth not in (b"0", b"1"):
        raise Refusal("depth_not_allowed" if depth == b"infinity" else "bad_header", repr(depth[:40]))
    return depth == b"1"


def _check(request: Request, status: os.stat_result) -> None:
    if is_collection(status):
        return
    if not is_file(status):
        raise Refusal("not_a_file")
    if not request.rights & FILES_TOO:
        raise Refusal("insufficient_scope", "only a collection may be told here")
    if request.collection:
        raise Refusal("not_found", "a file, but the URL ends in a slash")


def _own(area: Area, path: bytes, status: os.stat_result) -> Resource:
    collection = is_collection(status)
    url = (names.collection_url if collection else names.resource_url)(area.settings.path, path)
    name = path.rpartition(b"/")[2] or area.settings.path.strip("/").encode()
    return Resource(url, name, collection, status, _quota(area) if collection else Quota(0, 0))


def _quota(area: Area) -> Quota:
    """Of the file system that holds the area's root."""
    told = os.fstatvfs(area.root)
    return Quota((told.f_blocks - told.f_bfree) * told.f_frsize, told.f_bavail * told.f_frsize)


def _multistatus(pieces: Generator[bytes, None, None]) -> Reply:
    return reply.of_generated(207, _FIELDS, GeneratedBody(pieces))


def _with_members(
    area: Area, path: bytes, directory: int, own: Resource, wanted: Wanted
) -> Generator[bytes, None, None]:
    """Takes the descriptor over."""
    try:
        yield _BEGIN + properties.response(own, wanted).encode()
        responses = _responses(area, path, directory, own, wanted)
        while piece := "".join(itertools.islice(responses, _TOGETHER)):
            yield piece.encode()
        yield _END
    finally:
        os.close(directory)


def _responses(area: Area, path: bytes, directory: int, own: Resource, wanted: Wanted) -> Iterator[str]:
    url, quota = own.href, own.quota
    for name, collection, status in members(area, path, directory, properties.need_status(wanted)):
        href = f"{url}{names.in_url(name)}/" if collection else url + names.in_url(name)
        yield properties.response(Resource(href, name, collection, status, quota), wanted)
