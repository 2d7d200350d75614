"""All that a request's header lines say about what must be true before anything is changed: If-Match and its kin, If, and lock tokens."""

import os
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from teapot.channel.worker_messages import Request
from teapot.worker import conditions, if_header, locks
from teapot.worker.annotations import Lock
from teapot.worker.area import Area, is_collection
from teapot.worker.conditions import Verdict
from teapot.worker.entity import etag
from teapot.worker.if_header import Found
from teapot.worker.locks import Held
from teapot.worker.refusal import Refusal
from teapot.worker.upload import Precondition


class Preconditions:
    """Of one request. Judged before its body is taken, and again under the lock of the directory that changes."""

    def __init__(self, areas: Mapping[str, Area | Refusal], request: Request, area: Area) -> None:
        self._areas, self._request, self._area = areas, request, area
        try:
            self._lists = if_header.read(request.fields["if"]) if "if" in request.fields else ()
        except if_header.BadIf as wrong:
            raise Refusal("bad_header", f"If: {wrong}") from wrong
        self.bearer = locks.Bearer(request.principal, if_header.tokens(self._lists))
        self._below: dict[tuple[str, bytes], list[Held]] = {}
        self.replaces_collection = False  # at the target of a COPY or MOVE
        self.target_locks: tuple[Lock, ...] = ()  # after moves(): what a MOVE must keep at the target,
        self.released: list[bytes] = []  # and what it must not take along, relative to the source

    def hold(self, status: os.stat_result | None) -> None:
        """Without regard to locks that nobody has asked about: for what only reads."""
        self._hold_what_was_named(status)
        self._hold_rest(status)

    def hold_if(self, tag: bytes | None) -> None:
        """The If header alone; `tag` of what stands at the request's path."""
        if self._lists and not if_header.holds(self._lists, lambda resource: self._found(resource, tag)):
            raise Refusal("precondition_failed", "If")

    def _hold_rest(self, status: os.stat_result | None) -> None:
        """Those of RFC 9110. They count only where the request would succeed without them (section 13.2.1): so after the locks."""
        tag, modified = (etag(status), status.st_mtime) if status is not None else (None, 0.0)
        try:
            verdict = conditions.judge(self._request.fields, tag, modified, reading=False)
        except conditions.BadCondition as wrong:
            raise Refusal("bad_header", str(wrong)) from wrong
        if verdict is not Verdict.PROCEED:
            raise Refusal("precondition_failed")

    def _hold_what_was_named(self, status: os.stat_result | None) -> None:
        """A URL that ends in a slash names a collection, and never a file; one without may name either (RFC 4918, section 5.2)."""
        if self._request.collection and status is not None and not is_collection(status):
            raise Refusal("not_found", "a file, asked for as a collection")
        self.hold_if(etag(status) if status is not None else None)

    def writes(self, status: os.stat_result | None) -> None:
        """It is replaced, changed or made."""
        self._hold_what_was_named(status)
        locks.may_write(self._area, self._request.path, self.bearer, exists=status is not None)
        self._hold_rest(status)

    def goes(self, status: os.stat_result | None) -> None:
        """It is removed, with its members."""
        self._may_go(status)
        self._hold_rest(status)

    def _may_go(self, status: os.stat_result | None) -> None:
        self._hold_what_was_named(status)
        path = self._request.path
        locks.may_write(self._area, path, self.bearer, exists=True, members=self._members(self._area, path, status))

    def copies(self, target: Area) -> Precondition:
        """What the request is about is read, and the target replaced or made."""

        def judge(status: os.stat_result | None) -> None:
            self._hold_what_was_named(status)
            self._may_take(status, target)
            self._hold_rest(status)
            if self.replaces_collection or status is not None and is_collection(status):  # a file that replaces a file takes them over
                self.target_locks = locks.kept(target, self._request.target_path).locks

        return judge

    def moves(self, target: Area) -> Precondition:
        def judge(status: os.stat_result | None) -> None:
            self._may_go(status)
            self._may_take(status, target)
            self._hold_rest(status)
            path = self._request.path
            moved = (*locks.on(self._area, path), *self._members(self._area, path, status))
            self.released = sorted({held.path[len(path) + 1 :] for held in moved})
            self.target_locks = locks.kept(target, self._request.target_path).locks

        return judge

    def _may_take(self, source: os.stat_result | None, target: Area) -> None:
        path = self._request.target_path
        status = _status(target, path)
        self.replaces_collection = status is not None and is_collection(status)
        if self._request.target_collection and not self.replaces_collection and source is not None and not is_collection(source):
            raise Refusal("is_file", "a file cannot have the URL of a collection")
        locks.may_write(target, path, self.bearer, exists=status is not None, members=self._members(target, path, status))

    def _members(self, area: Area, path: bytes, status: os.stat_result | None) -> list[Held]:
        """Locks below a collection. Looked for once in a request: the directory's lock does not reach down there anyway."""
        if status is None or not is_collection(status):
            return []
        if (area.name, path) not in self._below:
            self._below[area.name, path] = list(locks.below(area, path))
        return self._below[area.name, path]

    def _found(self, resource: bytes | None, tag: bytes | None) -> Found:
        area, path = self._area, self._request.path
        if resource is not None:
            place = self._locate(resource)
            if place is None:
                return Found(None, frozenset())
            area, path = place
            if (area, path) != (self._area, self._request.path):
                status = _status(area, path)
                tag = etag(status) if status is not None else None
        return Found(tag, frozenset(held.lock.token for held in locks.covering(area, path)))

    def _locate(self, resource: bytes) -> tuple[Area, bytes] | None:
        """The storage area with the longest path that holds it, as the gateway finds it."""
        segments = if_header.path_of(resource)
        if segments is None:
            return None
        best: tuple[int, Area] | None = None
        for area in self._areas.values():
            if isinstance(area, Refusal):
                continue
            for path in (area.settings.path, *area.settings.aliases):
                base = tuple(unquote_to_bytes(piece) for piece in path.split("/") if piece)
                if segments[: len(base)] == base and (best is None or len(base) > best[0]):
                    best = len(base), area
        return (best[1], b"/".join(segments[best[0] :])) if best else None


def _status(area: Area, path: bytes) -> os.stat_result | None:
    try:
        return area.status(path)
    except Refusal:
        return None
