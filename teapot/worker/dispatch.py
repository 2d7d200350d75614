"""Which method does what, on which file layer function; the answer is a Reply, or an Upload that waits for its body."""

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from teapot.channel.worker_messages import ALLOWED, BY_CAPABILITY, EMPTY_ONLY, FILES_TOO, MAY_LIST, MAY_REPLACE, NO_LINKS, Request
from teapot.configuration import Worker as Settings
from teapot.worker import engine, locks, namespace, propfind, propfind_request, put, reading
from teapot.worker.area import Area, is_collection
from teapot.worker.bodies import Body
from teapot.worker.ends import End, Manner
from teapot.worker.entity import etag
from teapot.worker.journal import Journal
from teapot.worker.preconditions import Preconditions
from teapot.worker.reading import Reply
from teapot.worker.refusal import Refusal
from teapot.worker.upload import Precondition, Terms, Upload
from teapot.worker.xml_screen import BadXml

CLASS_1, CLASS_2 = b"1", b"1,2"
_WHY_CLASS_1 = b"WebDAV class 1: this storage is read-only, or keeps no extended attributes for locks and properties.\n"


class Office(NamedTuple):
    """What all requests of this worker are carried out with."""

    areas: Mapping[str, Area | Refusal]
    journal: Journal
    settings: Settings
    given_up: Callable[[], bool] = lambda: False  # whoever made this request is gone, or waits no longer

    def area(self, name: str) -> Area:
        area = self.areas.get(name)
        if area is None:
            raise Refusal("area_root_refused", f"the storage area {name} is not for this account")
        if isinstance(area, Refusal):
            raise area
        return area

    def target(self, request: Request) -> Area:
        return self.area(request.target_area).seen("", request.target_within, not request.target_rights & NO_LINKS)

    def asked(self, request: Request) -> Area:
        """What the request is about, under the path that it was asked by."""
        return self.area(request.area).seen(request.asked_as, request.within, not request.rights & NO_LINKS)


def carry_out(office: Office, request: Request, body: bytes) -> Reply:
    """Everything but an upload whose body is streamed."""
    method = _METHODS.get(request.method)
    if method is None:
        raise Refusal("method_not_allowed")
    return method(office, request, body)


def begin_upload(office: Office, request: Request) -> Upload:
    area = office.asked(request)
    terms = _terms(office, request, _preconditions(office, request).writes)
    return put.begin(area, request, terms, office.journal)


def _terms(office: Office, request: Request, precondition: Precondition, rights: int | None = None) -> Terms:
    allowed = request.rights if rights is None else rights
    durable = office.settings.durability == "data"
    return Terms(bool(allowed & MAY_REPLACE), precondition, durable, bool(allowed & BY_CAPABILITY), bool(allowed & EMPTY_ONLY))


def _preconditions(office: Office, request: Request) -> Preconditions:
    return Preconditions(office.areas, request, office.asked(request))


# --- the methods


def _get(office: Office, request: Request, body: bytes) -> Reply:
    area = office.asked(request)
    _hold_if(office, request, area)
    return reading.get(
        area,
        request.path,
        request.collection,
        request.fields,
        files_too=bool(request.rights & FILES_TOO),
        head=request.method == "HEAD",
        may_list=bool(request.rights & MAY_LIST),
        listing_order=request.listing_order,
        given_up=office.given_up,
    )


def _put(office: Office, request: Request, body: bytes) -> Reply:
    upload = begin_upload(office, request)
    try:
        upload.write(memoryview(body))
        return put.end(request, upload, request.length if request.length is not None else len(body))
    finally:
        upload.abort()


def _delete(office: Office, request: Request, body: bytes) -> Reply:
    area = office.asked(request)
    if request.fields.get("depth", b"infinity").lower() != b"infinity":
        raise Refusal("bad_header", "DELETE has Depth infinity")
    namespace.delete(area, request.path, _terms(office, request, _preconditions(office, request).goes))
    return Reply(204, [])


def _mkcol(office: Office, request: Request, body: bytes) -> Reply:
    if body:
        raise Refusal("content_not_accepted")
    area = office.asked(request)
    namespace.make_collection(area, request.path, _preconditions(office, request).writes)
    return Reply(201, [])


def _move(office: Office, request: Request, body: bytes) -> Reply:
    source, target = _ends(office, request)
    preconditions = _preconditions(office, request)
    terms = _terms(office, request, preconditions.moves(target.area), request.target_rights)
    namespace.move(source, target, _manner(request, terms), office.journal)
    locks.settle(target.area, target.path, preconditions.target_locks, preconditions.released)
    return Reply(204 if preconditions.replaces_collection else 201, [])  # of files: data-lake clients take nothing but 201


def _copy(office: Office, request: Request, body: bytes) -> Reply:
    source, target = _ends(office, request)
    depth = request.fields.get("depth", b"infinity").lower()
    if depth not in (b"0", b"infinity"):
        raise Refusal("bad_header", "COPY has Depth 0 or infinity")
    preconditions = _preconditions(office, request)
    terms = _terms(office, request, preconditions.copies(target.area), request.target_rights)
    created = namespace.copy(source, target, _manner(request, terms), deep=depth == b"infinity", journal=office.journal)
    locks.settle(target.area, target.path, preconditions.target_locks, ())
    return Reply(201 if created else 204, [])


def _ends(office: Office, request: Request) -> tuple[End, End]:
    return End(office.asked(request), request.path), End(office.target(request), request.target_path)


def _manner(request: Request, terms: Terms) -> Manner:
    return Manner(_overwrite(request), terms, bool(request.rights & EMPTY_ONLY))


def _overwrite(request: Request) -> bool:
    value = request.fields.get("overwrite", b"T").strip().upper()
    if value not in (b"T", b"F"):
        raise Refusal("bad_header", "Overwrite is T or F")
    return value == b"T"


def _propfind(office: Office, request: Request, body: bytes) -> Reply:
    depth = request.fields.get("depth", b"infinity").strip().lower()
    if depth not in (b"0", b"1", b"infinity"):
        raise Refusal("bad_header", "Depth is 0, 1 or infinity")
    try:
        wanted = propfind_request.read(body)
    except BadXml as wrong:
        raise Refusal("bad_xml", str(wrong)) from wrong
    rights, area = request.rights, office.asked(request)
    status = area.status(request.path)
    if depth == b"infinity" and is_collection(status):
        raise Refusal("depth_not_allowed")
    _preconditions(office, request).hold(status)
    pieces = propfind.answer(
        area,
        request.path,
        depth == b"1",
        wanted,
        may_list=bool(rights & MAY_LIST),
        files_too=bool(rights & FILES_TOO),
    )
    fields: reading.Fields = [(b"content-type", b"application/xml; charset=utf-8"), (b"dav", _class_of(area, request.path))]
    return Reply(207, fields, Body(iter(pieces), None))


def _hold_if(office: Office, request: Request, area: Area) -> None:
    """The If header of GET and HEAD."""
    if "if" not in request.fields:
        return
    try:
        tag = etag(area.status(request.path))
    except Refusal:
        tag = None
    _preconditions(office, request).hold_if(tag)


def _lock(office: Office, request: Request, body: bytes) -> Reply:
    return engine.lock(office.asked(request), request, body, _preconditions(office, request), office.journal)


def _unlock(office: Office, request: Request, body: bytes) -> Reply:
    return engine.unlock(office.asked(request), request, body, _preconditions(office, request))


def _proppatch(office: Office, request: Request, body: bytes) -> Reply:
    return engine.change_properties(office.asked(request), request, body, _preconditions(office, request))


def _options(office: Office, request: Request, body: bytes) -> Reply:
    """What this very storage can do; a caller without a token is told by the gateway what Teapot can."""
    dav = _class_of(office.asked(request), request.path)
    fields: reading.Fields = [(b"dav", dav), (b"allow", b",".join(ALLOWED)), (b"ms-author-via", b"DAV")]
    return Reply(200, fields, None if dav == CLASS_2 else Body(iter([_WHY_CLASS_1]), len(_WHY_CLASS_1)))


def _class_of(area: Area, path: bytes) -> bytes:
    """Locks and properties need a file system that keeps extended attributes, and an area that is not read-only."""
    try:
        with area.opened(path, os.O_PATH) as descriptor:
            return CLASS_2 if locks.storable(area, descriptor) else CLASS_1
    except Refusal:
        return CLASS_2


_METHODS: dict[str, Callable[[Office, Request, bytes], Reply]] = {
    "GET": _get,
    "HEAD": _get,
    "PUT": _put,
    "DELETE": _delete,
    "MKCOL": _mkcol,
    "MOVE": _move,
    "COPY": _copy,
    "PROPFIND": _propfind,
    "LOCK": _lock,
    "UNLOCK": _unlock,
    "PROPPATCH": _proppatch,
    "OPTIONS": _options,
}
