"""What a worker serves from: its account's storage areas, the journal of hidden names, how durable a write must be."""

from collections.abc import Mapping
from typing import NamedTuple

from teapot.channel.worker_messages import MAY_REPLACE, Request
from teapot.worker import conditions, entity
from teapot.worker.area import Area
from teapot.worker.conditions import Verdict
from teapot.worker.journal import Journal
from teapot.worker.refusal import Refusal
from teapot.worker.upload import Precondition, Terms


class Storage(NamedTuple):
    areas: Mapping[str, Area | Refusal]
    journal: Journal
    durable: bool

    def area(self, name: str) -> Area:
        area = self.areas.get(name)
        if area is None:
            raise Refusal("outside_area", f"{name!r} is no area of this account")
        if isinstance(area, Refusal):
            raise Refusal(area.problem, area.detail)
        return area

    def changeable(self, name: str) -> Area:
        """The gateway has looked at read_only already; a worker does not rely on it."""
        area = self.area(name)
        if area.settings.read_only:
            raise Refusal("read_only")
        return area

    def terms(self, request: Request, rights: int) -> Terms:
        """Under which the request may change a target, given the rights that stand for that target."""
        return Terms(bool(rights & MAY_REPLACE), precondition(request), self.durable)


def precondition(request: Request) -> Precondition:
    def check(existing) -> None:  # type: ignore[no-untyped-def]
        etag = entity.etag(existing) if existing is not None else None
        modified = existing.st_mtime if existing is not None else 0
        if verdict(request, etag, modified, reading=False) is not Verdict.PROCEED:
            raise Refusal("precondition_failed")

    return check


def verdict(request: Request, etag: bytes | None, modified: float, *, reading: bool) -> Verdict:
    try:
        return conditions.judge(request.fields, etag, modified, reading)
    except conditions.BadCondition as wrong:
        raise Refusal("bad_header", str(wrong)) from wrong
