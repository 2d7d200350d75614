"""DELETE, MKCOL, MOVE and COPY: their headers and statuses; what they do to names is in namespace.py.

MOVE answers 201 even when it replaced something, because a widely used client takes 204 for a failure.
"""

from teapot.channel.worker_messages import Request
from teapot.worker import namespace
from teapot.worker.area import is_collection
from teapot.worker.namespace import End
from teapot.worker.refusal import Refusal
from teapot.worker.reply import Reply
from teapot.worker.storage import Storage


def delete(request: Request, body: bytes, storage: Storage) -> Reply:
    area = storage.changeable(request.area)
    if request.collection and request.path and not is_collection(area.status(request.path)):
        raise Refusal("is_file", "the URL ends in a slash")
    namespace.delete(area, request.path, storage.terms(request, request.rights))
    return Reply(204, [])


def make_collection(request: Request, body: bytes, storage: Storage) -> Reply:
    if body:
        raise Refusal("content_not_accepted")
    namespace.make_collection(storage.changeable(request.area), request.path)
    return Reply(201, [], length=0)


def move(request: Request, body: bytes, storage: Storage) -> Reply:
    if _depth(request) != b"infinity":
        raise Refusal("bad_header", "MOVE has no Depth but infinity")
    source = End(storage.changeable(request.area), request.path)
    target = End(storage.changeable(request.target_area), request.target_path)
    terms = storage.terms(request, request.target_rights)
    namespace.move(source, target, overwrite=_overwrite(request), terms=terms)
    return Reply(201, [], length=0)


def copy(request: Request, body: bytes, storage: Storage) -> Reply:
    depth = _depth(request)
    if depth not in (b"0", b"infinity"):
        raise Refusal("bad_header", "COPY has no Depth but 0 and infinity")
    source = End(storage.area(request.area), request.path)
    target = End(storage.changeable(request.target_area), request.target_path)
    terms = storage.terms(request, request.target_rights)
    created = namespace.copy(
        source, target, overwrite=_overwrite(request), deep=depth != b"0", terms=terms, journal=storage.journal
    )
    return Reply(201, [], length=0) if created else Reply(204, [])


def _depth(request: Request) -> bytes:
    return request.fields.get("depth", b"infinity").strip().lower()


def _overwrite(request: Request) -> bool:
    value = request.fields.get("overwrite", b"T").strip().upper()
    if value not in (b"T", b"F"):
        raise Refusal("bad_header", "Overwrite is T or F")
    return value == b"T"
