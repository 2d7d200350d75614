"""Which method does what, on which file layer function; the answer is a Reply, or an Upload that waits for its body."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from teapot.channel.worker_messages import FILES_TOO, MAY_LIST, MAY_REPLACE, Request
from teapot.configuration import Worker as Settings
from teapot.worker import conditions, digests, namespace, propfind, propfind_request, reading
from teapot.worker.area import Area
from teapot.worker.bodies import Body
from teapot.worker.conditions import Verdict
from teapot.worker.ends import End
from teapot.worker.entity import etag
from teapot.worker.journal import Journal
from teapot.worker.reading import Reply
from teapot.worker.refusal import Refusal
from teapot.worker.upload import Stored, Terms, Upload

_FORM_BODY = b"multipart/form-data"


class Office(NamedTuple):
    """What all requests of this worker are carried out with."""

    areas: Mapping[str, Area | Refusal]
    journal: Journal
    settings: Settings

    def area(self, name: str) -> Area:
        area = self.areas.get(name)
        if area is None:
            raise Refusal("area_root_refused", f"the storage area {name} is not for this account")
        if isinstance(area, Refusal):
            raise area
        return area


def carry_out(office: Office, request: Request, body: bytes) -> Reply:
    """Everything but an upload whose body is streamed."""
    method = _METHODS.get(request.method)
    if method is None:
        raise Refusal("method_not_allowed")
    return method(office, request, body)


def begin_upload(office: Office, request: Request) -> Upload:
    area = office.area(request.area)
    if "content-range" in request.fields:
        raise Refusal("partial_put_refused")
    if request.fields.get("content-type", b"").startswith(_FORM_BODY):
        raise Refusal("content_not_accepted", "a form")
    if not request.path:
        raise Refusal("is_collection")
    if request.collection:
        raise Refusal("is_collection", "the URL of a file does not end in a slash")
    expected = _digests_sent(request)
    upload = Upload(area, request.path, _terms(office, request), office.journal, request.length)
    if "md5" in expected:
        upload.want_md5()
    return upload


def end_upload(request: Request, upload: Upload, length: int) -> Reply:
    stored = upload.commit(length, _digests_sent(request))
    return Reply(201 if stored.created else 200, _stored_fields(request, stored))


def _stored_fields(request: Request, stored: Stored) -> reading.Fields:
    fields: reading.Fields = [(b"etag", etag(stored.status))]
    wish = digests.wish(request.fields)
    if wish and wish.algorithm == "adler32":
        fields.append(wish.answer(stored.adler32))
    return fields


def _digests_sent(request: Request) -> dict[str, bytes]:
    try:
        return digests.sent(request.fields)
    except digests.BadDigest as wrong:
        raise Refusal("bad_header", str(wrong)) from wrong


def _terms(office: Office, request: Request, rights: int | None = None) -> Terms:
    may_replace = bool((request.rights if rights is None else rights) & MAY_REPLACE)
    return Terms(may_replace, lambda status: _hold(request, status), office.settings.durability == "data")


def _hold(request: Request, status: object) -> None:
    """The request's conditions on what stands at its path."""
    tag, modified = (etag(status), status.st_mtime) if status is not None else (None, 0.0)  # type: ignore[arg-type, attr-defined]
    try:
        verdict = conditions.judge(request.fields, tag, modified, reading=False)
    except conditions.BadCondition as wrong:
        raise Refusal("bad_header", str(wrong)) from wrong
    if verdict is not Verdict.PROCEED:
        raise Refusal("precondition_failed")


# --- the methods


def _get(office: Office, request: Request, body: bytes) -> Reply:
    return reading.get(
        office.area(request.area),
        request.path,
        request.collection,
        request.fields,
        files_too=bool(request.rights & FILES_TOO),
        head=request.method == "HEAD",
        may_list=bool(request.rights & MAY_LIST),
    )


def _put(office: Office, request: Request, body: bytes) -> Reply:
    upload = begin_upload(office, request)
    try:
        upload.write(memoryview(body))
        return end_upload(request, upload, request.length if request.length is not None else len(body))
    finally:
        upload.abort()


def _delete(office: Office, request: Request, body: bytes) -> Reply:
    area = office.area(request.area)
    if request.fields.get("depth", b"infinity").lower() != b"infinity":
        raise Refusal("bad_header", "DELETE has Depth infinity")
    namespace.delete(area, request.path, _terms(office, request))
    return Reply(204, [])


def _mkcol(office: Office, request: Request, body: bytes) -> Reply:
    if body:
        raise Refusal("content_not_accepted")
    area = office.area(request.area)
    namespace.make_collection(area, request.path)
    return Reply(201, [])


def _move(office: Office, request: Request, body: bytes) -> Reply:
    source, target = _ends(office, request)
    terms = _terms(office, request, request.target_rights)
    namespace.move(source, target, overwrite=_overwrite(request), terms=terms, journal=office.journal)
    return Reply(201, [])


def _copy(office: Office, request: Request, body: bytes) -> Reply:
    source, target = _ends(office, request)
    depth = request.fields.get("depth", b"infinity").lower()
    if depth not in (b"0", b"infinity"):
        raise Refusal("bad_header", "COPY has Depth 0 or infinity")
    terms = _terms(office, request, request.target_rights)
    created = namespace.copy(source, target, overwrite=_overwrite(request), deep=depth == b"infinity", terms=terms, journal=office.journal)
    return Reply(201 if created else 204, [])


def _ends(office: Office, request: Request) -> tuple[End, End]:
    return End(office.area(request.area), request.path), End(office.area(request.target_area), request.target_path)


def _overwrite(request: Request) -> bool:
    value = request.fields.get("overwrite", b"T").strip().upper()
    if value not in (b"T", b"F"):
        raise Refusal("bad_header", "Overwrite is T or F")
    return value == b"T"


def _propfind(office: Office, request: Request, body: bytes) -> Reply:
    depth = request.fields.get("depth", b"infinity").strip().lower()
    if depth == b"infinity":
        raise Refusal("depth_not_allowed")
    if depth not in (b"0", b"1"):
        raise Refusal("bad_header", "Depth is 0 or 1")
    try:
        wanted = propfind_request.read(body)
    except propfind_request.BadXml as wrong:
        raise Refusal("bad_xml", str(wrong)) from wrong
    rights = request.rights
    pieces = propfind.answer(
        office.area(request.area),
        request.path,
        depth == b"1",
        wanted,
        may_list=bool(rights & MAY_LIST),
        files_too=bool(rights & FILES_TOO),
    )
    return Reply(207, [(b"content-type", b"application/xml; charset=utf-8"), (b"dav", b"1")], Body(iter(pieces), None))


_METHODS: dict[str, Callable[[Office, Request, bytes], Reply]] = {
    "GET": _get,
    "HEAD": _get,
    "PUT": _put,
    "DELETE": _delete,
    "MKCOL": _mkcol,
    "MOVE": _move,
    "COPY": _copy,
    "PROPFIND": _propfind,
}
