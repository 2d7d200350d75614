"""GET and HEAD: what a file or collection is, whole or in ranges, with its conditions and digests."""

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from teapot.pages.frame import POLICY
from teapot.worker import checksum, computing, conditions, digests, http_dates, listing, ranges
from teapot.worker.area import Area, is_collection, is_file
from teapot.worker.bodies import Body, Piece
from teapot.worker.conditions import Verdict
from teapot.worker.content_types import content_type
from teapot.worker.entity import etag
from teapot.worker.refusal import RangeRefusal, Refusal
from teapot.worker.residency import Offline

Fields = list[tuple[bytes, bytes]]


class Reply(NamedTuple):
    status: int
    fields: Fields
    body: Body | None = None
    length: int | None = None  # of the body, or for HEAD of what GET would send; None: not known


def get(
    area: Area,
    path: bytes,
    collection: bool,
    fields: Mapping[str, bytes],
    *,
    files_too: bool,
    head: bool,
    may_list: bool,
    listing_order: str = "",
    given_up: Callable[[], bool] = lambda: False,
) -> Reply:
    """`files_too` False: only a collection may be told of here. The body's descriptor is the caller's to close."""
    try:
        descriptor = _unopened(area, path) if head and area.residency else area.open(path, os.O_RDONLY)
    except Offline:
        _refuse_file(collection, files_too)
        raise
    try:
        status = os.fstat(descriptor)
        if is_collection(status):
            if not may_list and not head:
                raise Refusal("permission_denied", "the scopes do not allow to list")
            reply = _collection(status, fields)
            if head or reply.status == 304:
                return reply
            page = listing.page(area, path, os.dup(descriptor), slash=collection, order=listing_order)
            return reply._replace(body=Body(page, None))
        if not is_file(status):
            raise Refusal("not_a_file")
        _refuse_file(collection, files_too)
        reply = _file(area, path, descriptor, status, fields, head, given_up)
        if reply.body is not None:
            descriptor = -1  # the body's now
        return reply
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _refuse_file(collection: bool, files_too: bool) -> None:
    if collection:
        raise Refusal("not_found", "a file, asked for as a collection")
    if not files_too:
        raise Refusal("permission_denied", "a file, where the scopes allow a collection only")


def _unopened(area: Area, path: bytes) -> int:
    """For HEAD where opening a file may bring it back from a tape. Only who may read it is told of it, as elsewhere."""
    descriptor = area.open(path, os.O_PATH)
    if os.access(f"/proc/self/fd/{descriptor}", os.R_OK):
        return descriptor
    os.close(descriptor)
    raise Refusal("permission_denied", "the file cannot be read")


def _collection(status: os.stat_result, asked: Mapping[str, bytes]) -> Reply:
    """The head of a listing. It is there and has no entity tag; that its directory is old does not tell that what it says of members is."""
    tags_only = {name: asked[name] for name in ("if-match", "if-none-match") if name in asked}
    verdict = _judge(tags_only, b"", status.st_mtime)
    if verdict is Verdict.NOT_MODIFIED:
        return Reply(304, [])
    if verdict is Verdict.FAILED:
        raise Refusal("precondition_failed")
    fields: Fields = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", POLICY),
        (b"cache-control", b"no-cache"),
        (b"last-modified", http_dates.http_date(int(status.st_mtime)).encode()),
    ]
    return Reply(200, fields)


def _file(
    area: Area, path: bytes, descriptor: int, status: os.stat_result, asked: Mapping[str, bytes], head: bool, given_up: Callable[[], bool]
) -> Reply:
    tag, now = etag(status), time.time()
    fields: Fields = [
        (b"etag", tag),
        # Never later than the answer itself (RFC 9110, section 8.8.2.1), whatever time the file claims.
        (b"last-modified", http_dates.http_date(int(min(status.st_mtime, now))).encode()),
        (b"accept-ranges", b"bytes"),
    ]
    if area.residency:
        fields.append((b"locality", area.residency.locality(descriptor, status).encode()))
    verdict = _judge(asked, tag, status.st_mtime)
    if verdict is Verdict.NOT_MODIFIED:
        return Reply(304, fields)
    if verdict is Verdict.FAILED:
        raise Refusal("precondition_failed")
    kind = content_type(path)
    if head and area.residency:
        fields += _digest_unopened(area, path, descriptor, status, asked, given_up)
    else:
        fields += _digest(area, descriptor, asked, given_up)
    if not head and "range" in asked and conditions.range_stands(asked.get("if-range"), tag, status.st_mtime, now):
        reply = _ranges(descriptor, status, asked["range"], fields, kind)
        if reply:
            return reply
    fields.append((b"content-type", kind))
    if head:
        return Reply(200, fields, None, status.st_size)
    return Reply(200, fields, Body(iter([Piece(0, status.st_size)]), status.st_size, descriptor, status), status.st_size)


def _judge(asked: Mapping[str, bytes], tag: bytes, modified: float) -> Verdict:
    try:
        return conditions.judge(asked, tag, modified, reading=True)
    except conditions.BadCondition as wrong:
        raise Refusal("bad_header", str(wrong)) from wrong


def _digest(area: Area, descriptor: int, asked: Mapping[str, bytes], given_up: Callable[[], bool]) -> Fields:
    wish = digests.wish(asked)
    return [wish.answer(computing.digest(descriptor, wish.algorithm, given_up, unguarded=_unguarded(area)))] if wish else []


def _unguarded(area: Area) -> bool:
    return area.settings.unguarded_checksums == "believe"


def _digest_unopened(
    area: Area, path: bytes, descriptor: int, status: os.stat_result, asked: Mapping[str, bytes], given_up: Callable[[], bool]
) -> Fields:
    """Of a file whose content may be on tape: what is stored with it, or what can be computed from the disk; otherwise none."""
    wish = digests.wish(asked)
    if not wish:
        return []
    stored = checksum.stored(f"/proc/self/fd/{descriptor}", status, unguarded=_unguarded(area))
    if wish.algorithm in stored:
        return [wish.answer(stored[wish.algorithm])]
    if area.residency and not area.residency.is_readable(descriptor, status):
        return []
    with area.opened(path) as content:
        return _digest(area, content, asked, given_up)


def _ranges(descriptor: int, status: os.stat_result, header: bytes, fields: Fields, kind: bytes) -> Reply | None:
    size = status.st_size
    try:
        wanted = ranges.wanted(header, size)
    except ranges.NotSatisfiable:
        raise RangeRefusal(size) from None
    if not wanted:
        return None
    if len(wanted) == 1:
        start, length = wanted[0]
        named = [*fields, (b"content-type", kind), (b"content-range", _content_range(start, length, size))]
        return Reply(206, named, Body(iter([Piece(start, length)]), length, descriptor, status), length)
    boundary = secrets.token_hex(16).encode()
    parts = list(_multipart(wanted, boundary, kind, size))
    length = sum(part.length if isinstance(part, Piece) else len(part) for part in parts)
    named = [*fields, (b"content-type", b"multipart/byteranges; boundary=" + boundary)]
    return Reply(206, named, Body(iter(parts), length, descriptor, status), length)


def _content_range(start: int, length: int, size: int) -> bytes:
    return b"bytes %d-%d/%d" % (start, start + length - 1, size)


def _multipart(wanted: list[ranges.Range], boundary: bytes, kind: bytes, size: int) -> Iterator[Piece | bytes]:
    for start, length in wanted:
        head = (boundary, kind, _content_range(start, length, size))
        yield b"\r\n--%b\r\nContent-Type: %b\r\nContent-Range: %b\r\n\r\n" % head
        yield Piece(start, length)
    yield b"\r\n--%b--\r\n" % boundary
