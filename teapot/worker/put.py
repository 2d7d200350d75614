"""PUT: what the header lines say of the body that comes, and what is told of the file that it has become."""

import re

from teapot.channel.worker_messages import Request
from teapot.worker import content_range, digests
from teapot.worker.area import Area
from teapot.worker.entity import etag
from teapot.worker.journal import Journal
from teapot.worker.patch import Patch
from teapot.worker.reading import Fields, Reply
from teapot.worker.refusal import Refusal
from teapot.worker.upload import Stored, Terms, Upload

_FORM_BODY = b"multipart/form-data"
_SECONDS = re.compile(rb"(-?[0-9]{1,11})(?:\.[0-9]{1,9})?")


def begin(area: Area, request: Request, terms: Terms, journal: Journal) -> Upload:
    """Refusal for whatever can be refused before the body."""
    if request.fields.get("content-type", b"").startswith(_FORM_BODY):
        raise Refusal("content_not_accepted", "a form")
    if not request.path:
        raise Refusal("is_collection")
    if request.collection:
        raise Refusal("is_collection", "the URL of a file does not end in a slash")
    expected, mtime_s, patch = _digests(request), _mtime(request), _part(request)
    upload = Upload(area, request.path, terms, journal, request.length, patch)
    upload.mtime_s = mtime_s
    wish = digests.wish(request.fields)
    upload.compute({*expected, *([wish.algorithm] if wish else [])})
    return upload


def end(request: Request, upload: Upload, length: int) -> Reply:
    stored = upload.commit(length, _digests(request))
    return Reply(201 if stored.created else 200, _fields(request, stored))


def _fields(request: Request, stored: Stored) -> Fields:
    fields: Fields = [(b"etag", etag(stored.status))]
    wish = digests.wish(request.fields)
    if wish and wish.algorithm in stored.checksums:
        fields.append(wish.answer(stored.checksums[wish.algorithm]))
    if stored.status.st_mtime_ns // 1_000_000_000 == _mtime(request):
        fields.append((b"x-oc-mtime", b"accepted"))
    return fields


def _part(request: Request) -> Patch | None:
    if "content-range" not in request.fields:
        return None
    try:
        part = content_range.read(request.fields["content-range"])
    except content_range.BadContentRange as wrong:
        raise Refusal("bad_header", f"Content-Range: {wrong}") from wrong
    if request.length is not None and request.length != part.length:
        raise Refusal("bad_header", "Content-Range and Content-Length do not agree")
    return Patch(part)


def _mtime(request: Request) -> int | None:
    """X-OC-Mtime, seconds since 1970, as ownCloud's clients and rclone send it; a fraction is dropped."""
    value = request.fields.get("x-oc-mtime")
    if value is None:
        return None
    match = _SECONDS.fullmatch(value.strip())
    if not match:
        raise Refusal("bad_header", "X-OC-Mtime")
    return int(match[1])


def _digests(request: Request) -> dict[str, bytes]:
    if "content-range" in request.fields and not digests.OF_THE_BODY.isdisjoint(request.fields):
        raise Refusal("bad_header", "a digest of a part is not verified: send Repr-Digest of the whole file, or none")
    try:
        return digests.sent(request.fields)
    except digests.BadDigest as wrong:
        raise Refusal("bad_header", str(wrong)) from wrong
