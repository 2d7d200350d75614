"""Asks a worker's table of methods, as a channel would, and takes the body along."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from teapot.channel.worker_messages import Request
from teapot.configuration import Worker
from teapot.worker import dispatch
from teapot.worker.area import Area
from teapot.worker.dispatch import Office
from teapot.worker.journal import Journal
from teapot.worker.refusal import Refusal

_AT_MOST = 1 << 30


class Said(NamedTuple):
    status: int | str  # or the code of the refusal
    fields: Mapping[str, str]
    body: bytes

    @property
    def etag(self) -> bytes:
        return self.fields["etag"].encode()


class Asker:
    """Somebody who sends requests about one area; who they are is the process's account."""

    def __init__(self, area: Area, rights: int = 7) -> None:
        self._office = Office({"area": area}, Journal(None), Worker(durability="none"))
        self._rights = rights

    def __call__(self, method: str, path: bytes, body: bytes = b"", *, to: bytes | None = None, **fields: bytes) -> Said:
        """A path that ends in a slash is asked for as a collection. `if_match=` is If-Match."""
        try:
            reply = dispatch.carry_out(self._office, self._request(method, path, body, to, fields), body)
            content = reply.body.whole(_AT_MOST) if reply.body else b""
        except Refusal as refusal:
            return Said(refusal.problem, _text(getattr(refusal, "fields", [])), b"")
        return Said(reply.status, _text(reply.fields), content or b"")

    def pieces(self, method: str, path: bytes, **fields: bytes) -> Iterator[bytes]:
        """Of an answer that is made as it is sent."""
        reply = dispatch.carry_out(self._office, self._request(method, path, b"", None, fields), b"")
        assert reply.body
        return (part for part in reply.body.parts if isinstance(part, bytes))

    def _request(self, method: str, path: bytes, body: bytes, to: bytes | None, fields: Mapping[str, bytes]) -> Request:
        return Request(
            1,
            "r",
            method,
            "area",
            path.rstrip(b"/"),
            path.endswith(b"/"),
            self._rights,
            {name.replace("_", "-").rstrip("-"): value for name, value in fields.items()},
            length=len(body) if method == "PUT" else None,
            target_area="area" if to is not None else "",
            target_path=(to or b"").rstrip(b"/"),
            target_collection=(to or b"").endswith(b"/"),
            target_rights=self._rights,
            principal="p",
        )

    def etag(self, path: bytes) -> bytes:
        return self("HEAD", path).etag


def _text(fields: Any) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in fields}
