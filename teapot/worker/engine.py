"""LOCK, UNLOCK and PROPPATCH by WsgiDAV: it reads their XML, decides on conflicts and writes the answers, over a provider of ours.

Built for one request at a time and thrown away; none of its own storage is active. Conditions, lock tokens and XML that no request may
hold are judged before it is asked, and everything happens under the locks of the directories that change.
"""

import contextlib
import io
import os
import re
from collections.abc import Iterator
from typing import Any

from teapot.channel.worker_messages import Request
from teapot.worker import locks, xml_screen
from teapot.worker.area import Area
from teapot.worker.bodies import Body
from teapot.worker.journal import Journal
from teapot.worker.lock_properties import blocked
from teapot.worker.place import Place, locked
from teapot.worker.preconditions import Preconditions
from teapot.worker.provider import Locks, Provider, Storage
from teapot.worker.reading import Fields, Reply
from teapot.worker.refusal import Refusal
from teapot.worker.staging import Staged
from teapot.worker.wsgidav_parts import DAVError, RequestServer

_CODED_URL = re.compile(rb"<([A-Za-z][A-Za-z0-9+.-]*:[\x21-\x3b\x3d\x3f-\x7e]*)>")
_DEFAULT_TIMEOUT = "Second-3600"
_PROBLEMS = {
    400: "bad_xml",
    403: "lock_of_another",
    404: "not_found",
    409: "lock_token_mismatch",
    412: "precondition_failed",
    415: "content_not_accepted",
    423: "locked",
    507: "annotations_full",
}
_PASSED_ON = (b"content-type", b"lock-token")


def lock(area: Area, request: Request, body: bytes, preconditions: Preconditions, journal: Journal) -> Reply:
    """Also of what is not there yet: it becomes an empty file (RFC 4918, section 7.3)."""
    _check_depth(request, (b"0", b"infinity"))
    _screen(body)
    with _locked_place(area, request.path) as place, contextlib.ExitStack() as undo:
        status = _status(area, request.path)
        preconditions.hold(status)
        if status is None:
            if not body or request.collection or place is None:
                raise Refusal("not_found")
            locks.may_write(area, request.path, preconditions.bearer, exists=False)
            _make_file(area, place, journal)
            undo.callback(os.unlink, place.name, dir_fd=place.directory)
        try:
            reply = _ask(Provider(area, request, preconditions.bearer), request, body)
        except Refusal as refusal:
            if refusal.problem == "locked" and (members := _in_the_way(area, request)):
                return Reply(207, [(b"content-type", b"application/xml; charset=utf-8")], Body(iter([members]), None))
            raise
        undo.pop_all()
    return reply._replace(status=201) if status is None else reply


def _in_the_way(area: Area, request: Request) -> bytes:
    """Locks of members that keep a collection from being locked as a whole; b"": it is a lock of its own, or from above."""
    if locks.covering(area, request.path):
        return b""
    members = list(locks.below(area, request.path))
    return blocked(area, request.path, [held for held in members if held.lock.exclusive] or members) if members else b""


def unlock(area: Area, request: Request, body: bytes, preconditions: Preconditions) -> Reply:
    token = _CODED_URL.fullmatch(request.fields.get("lock-token", b"").strip())
    if not token:
        raise Refusal("bad_header", "Lock-Token")
    area.status(request.path)  # or not_found, whatever of the path is missing
    with _locked_place(area, request.path):
        preconditions.hold(area.status(request.path))
        return _ask(Provider(area, request, preconditions.bearer), request, body)


def change_properties(area: Area, request: Request, body: bytes, preconditions: Preconditions) -> Reply:
    _check_depth(request, (b"0",))
    _screen(body)
    area.status(request.path)
    with _locked_place(area, request.path):
        preconditions.writes(area.status(request.path))
        provider = Provider(area, request, preconditions.bearer)
        reply = _ask(provider, request, body)
        provider.store_properties()
    return reply


def _make_file(area: Area, place: Place, journal: Journal) -> None:
    staged = Staged(place.directory, area.creation, journal, durable=False)
    try:
        staged.link(place)
    except FileExistsError as error:
        raise Refusal("busy", "somebody else has taken the name meanwhile") from error
    finally:
        staged.discard()


def _check_depth(request: Request, allowed: tuple[bytes, ...]) -> None:
    depth = request.fields.get("depth")
    if depth is not None and depth.strip().lower() not in allowed:
        raise Refusal("bad_header", f"{request.method} with this Depth")


def _screen(body: bytes) -> None:
    try:
        if body:
            xml_screen.screen(body)
    except xml_screen.BadXml as wrong:
        raise Refusal("bad_xml", str(wrong)) from wrong


@contextlib.contextmanager
def _locked_place(area: Area, path: bytes) -> Iterator[Place | None]:
    """The collection that holds it, and the area's root: locks of collections on the way reach down here. None: the root itself."""
    if not path:
        area.may_annotate()
        with locked(area.root):
            yield None
        return
    with area.target(path, follow=True) as target:
        if target.missing:
            raise Refusal("parent_missing")
        with locked(area.root, target.directory):
            yield Place(target.directory, target.name)


def _status(area: Area, path: bytes) -> os.stat_result | None:
    try:
        return area.status(path)
    except Refusal as refusal:
        if refusal.problem == "not_found":
            return None
        raise


def _ask(provider: Provider, request: Request, body: bytes) -> Reply:
    provider.set_lock_manager(Locks(Storage(provider)))
    answered: list[tuple[str, list[tuple[str, str]]]] = []
    environ = _environment(provider, request, body)
    try:
        method = getattr(RequestServer(provider), f"do_{request.method}")
        content = b"".join(method(environ, lambda status, fields: answered.append((status, fields))))
    except DAVError as error:
        if isinstance(error.src_exception, Refusal):
            raise error.src_exception from error
        raise Refusal(_PROBLEMS.get(error.value, "internal_error"), f"{error.value} {error.context_info}") from error
    status, fields = answered[0]
    kept: Fields = [(name.lower().encode(), value.encode()) for name, value in fields if name.lower().encode() in _PASSED_ON]
    return Reply(int(status.partition(" ")[0]), kept, Body(iter([content]), None) if content else None)


def _environment(provider: Provider, request: Request, body: bytes) -> dict[str, Any]:
    """The If header is not among it: it has been judged already, and only its tokens count any more."""
    bearer = provider.bearer
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": provider.reference(request.path),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgidav.provider": provider,
        "wsgidav.config": {},
        "wsgidav.verbose": 0,
        "wsgidav.user_name": bearer.principal,
        "wsgidav.conditions.if": {},
        "wsgidav.ifLockTokenList": sorted(bearer.tokens),
        "HTTP_TIMEOUT": request.fields.get("timeout", b"").decode("latin-1") or _DEFAULT_TIMEOUT,
    }
    if "depth" in request.fields:
        environ["HTTP_DEPTH"] = request.fields["depth"].strip().lower().decode("latin-1")
    if "lock-token" in request.fields:
        environ["HTTP_LOCK_TOKEN"] = request.fields["lock-token"].strip().decode("latin-1")
    return environ
