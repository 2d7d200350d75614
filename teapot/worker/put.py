"""PUT: from a request to an upload of the file layer, and from what was stored to the answer.

A small body comes with the request, a large one through the pump (receiving.py). 201 for a new file, 200 for a replaced one, never 204:
a widely used client takes that for a failure.
"""

from teapot.channel.worker_messages import Request
from teapot.worker import digests, entity, http_dates
from teapot.worker.refusal import Refusal
from teapot.worker.reply import Fields, Reply
from teapot.worker.storage import Storage
from teapot.worker.upload import Stored, Upload


def serve(request: Request, body: bytes, storage: Storage) -> Reply:
    upload = begin(request, storage, len(body))
    try:
        upload.write(memoryview(body))
        return finish(request, upload, len(body))
    finally:
        upload.abort()


def begin(request: Request, storage: Storage, length: int | None) -> Upload:
    """Everything that can be refused before the body is refused here."""
    if "content-range" in request.fields:
        raise Refusal("partial_put_refused")
    if request.collection:
        raise Refusal("is_collection", "the URL ends in a slash")
    expected = _expected(request)
    area = storage.changeable(request.area)
    upload = Upload(area, request.path, storage.terms(request, request.rights), storage.journal, length)
    if "md5" in expected:
        upload.want_md5()
    return upload


def finish(request: Request, upload: Upload, length: int) -> Reply:
    expected = _expected(request)
    stored = upload.commit(length, expected)
    return Reply(201 if stored.created else 200, _fields(request, stored, expected), length=0)


def _expected(request: Request) -> dict[str, bytes]:
    try:
        return digests.sent(request.fields)
    except digests.BadDigest as wrong:
        raise Refusal("bad_header", str(wrong)) from wrong


def _fields(request: Request, stored: Stored, expected: dict[str, bytes]) -> Fields:
    known = {**expected, "adler32": stored.adler32}
    wish = digests.wish(request.fields)
    modified = http_dates.http_date(int(stored.status.st_mtime)).encode()
    fields = [(b"etag", entity.etag(stored.status)), (b"last-modified", modified)]
    return fields + ([wish.answer(known[wish.algorithm])] if wish and wish.algorithm in known else [])
