"""GET and HEAD: files whole or in ranges, collections as a listing. HEAD has the fields of GET, and reads no content.

At most 64 KiB go back in the answer itself, more is sent by the pump.
"""

import os
import secrets

from teapot.channel.packets import MAX_BODY_BYTES
from teapot.channel.worker_messages import FILES_TOO, MAY_LIST, Request
from teapot.worker import checksum, conditions, content_types, digests, entity, http_dates, listing, ranges, reply
from teapot.worker.area import Area, is_collection, is_file
from teapot.worker.bodies import FileBody, GeneratedBody
from teapot.worker.conditions import Verdict
from teapot.worker.ranges import Range
from teapot.worker.refusal import Refusal, refusal_of
from teapot.worker.reply import Fields, Reply
from teapot.worker.storage import Storage, verdict


def serve(request: Request, body: bytes, storage: Storage) -> Reply:
    area = storage.area(request.area)
    opened = _Opened(area.open(request.path, os.O_RDONLY))
    try:
        status = os.fstat(opened.descriptor)
        if is_collection(status):
            return _collection(request, area, opened)
        return _file(request, opened, status)
    except OSError as failed:
        raise refusal_of(failed) from failed
    finally:
        opened.close()


class _Opened:
    """A descriptor that is closed at the end unless somebody else has taken it over."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._kept = True

    def give_away(self) -> int:
        self._kept = False
        return self.descriptor

    def close(self) -> None:
        if self._kept:
            os.close(self.descriptor)


def _collection(request: Request, area: Area, opened: _Opened) -> Reply:
    if request.method == "HEAD":
        return Reply(200, listing.FIELDS)
    if not request.rights & MAY_LIST:
        raise Refusal("insufficient_scope", "members may not be told")
    page = GeneratedBody(listing.page(area, request.path, opened.give_away()))
    return reply.of_generated(200, listing.FIELDS, page)


def _file(request: Request, opened: _Opened, status: os.stat_result) -> Reply:
    if not is_file(status):
        raise Refusal("not_a_file")
    if not request.rights & FILES_TOO:
        raise Refusal("insufficient_scope", "only a collection may be told here")
    if request.collection:
        raise Refusal("not_found", "a file, but the URL ends in a slash")
    etag = entity.etag(status)
    version: Fields = [(b"etag", etag), (b"last-modified", http_dates.http_date(int(status.st_mtime)).encode())]
    judged = verdict(request, etag, status.st_mtime, reading=True)
    if judged is Verdict.NOT_MODIFIED:
        return Reply(304, version)
    if judged is Verdict.FAILED:
        raise Refusal("precondition_failed")
    fields = [(b"accept-ranges", b"bytes"), *version, *_digest(request, opened.descriptor)]
    if request.method == "HEAD":
        return Reply(200, fields + content_types.fields(request.path), length=status.st_size)
    return _content(request, opened, status, fields)


def _digest(request: Request, descriptor: int) -> Fields:
    wish = digests.wish(request.fields)
    return [wish.answer(checksum.digest(descriptor, wish.algorithm))] if wish else []


def _content(request: Request, opened: _Opened, status: os.stat_result, fields: Fields) -> Reply:
    try:
        wanted = _wanted(request, status)
    except ranges.NotSatisfiable:
        unsatisfied = [(b"content-range", b"bytes */%d" % status.st_size)]
        return Reply(416, unsatisfied, problem="range_not_satisfiable")
    if not wanted:
        whole = Range(0, status.st_size)
        return _pieces(200, fields + content_types.fields(request.path), opened, [whole])
    if len(wanted) == 1:
        fields = [*fields, *content_types.fields(request.path), _content_range(wanted[0], status.st_size)]
        return _pieces(206, fields, opened, list(wanted))
    return _multipart(request, opened, status.st_size, fields, wanted)


def _wanted(request: Request, status: os.stat_result) -> list[Range]:
    header = request.fields.get("range")
    if header is None:
        return []
    if not conditions.range_stands(request.fields.get("if-range"), entity.etag(status), status.st_mtime):
        return []
    return ranges.wanted(header, status.st_size)


def _content_range(piece: Range, size: int) -> tuple[bytes, bytes]:
    return b"content-range", b"bytes %d-%d/%d" % (piece.start, piece.end - 1, size)


def _multipart(request: Request, opened: _Opened, size: int, fields: Fields, wanted: list[Range]) -> Reply:
    boundary = secrets.token_hex(16).encode()
    kind = content_types.of(request.path)
    parts: list[Range | bytes] = []
    for piece in wanted:
        content_range = _content_range(piece, size)[1]
        parts.append(b"\r\n--%b\r\nContent-Type: %b\r\nContent-Range: %b\r\n\r\n" % (boundary, kind, content_range))
        parts.append(piece)
    parts.append(b"\r\n--%b--\r\n" % boundary)
    return _pieces(206, [*fields, (b"content-type", b"multipart/byteranges; boundary=" + boundary)], opened, parts)


def _pieces(status: int, fields: Fields, opened: _Opened, parts: list[Range | bytes]) -> Reply:
    if len(parts) == 1 and isinstance(parts[0], Range) and parts[0].length <= MAX_BODY_BYTES:
        return _small(status, fields, opened.descriptor, parts[0])
    return reply.of_file(status, fields, FileBody(opened.give_away(), parts))


def _small(status: int, fields: Fields, descriptor: int, piece: Range) -> Reply:
    """The most frequent case, with one read."""
    data = os.pread(descriptor, piece.length, piece.start) if piece.length else b""
    if len(data) != piece.length:
        raise Refusal("file_changed", f"{len(data)} instead of {piece.length} bytes")
    return Reply(status, fields, data, length=piece.length)
