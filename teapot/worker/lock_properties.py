"""lockdiscovery, supportedlock and dead properties as XML: what PROPFIND and LOCK tell of a resource's annotations.

Attributes are written by whoever may write to the file, and read by others: nothing of them goes into an answer unless it is one
well-formed element.
"""

import time
from collections.abc import Iterable
from http import HTTPStatus
from xml.sax.saxutils import escape

from teapot.worker import xml_screen
from teapot.worker.annotations import LIVE_NAMESPACES
from teapot.worker.area import Area
from teapot.worker.hrefs import href
from teapot.worker.locks import Held

_ENTRY = "<D:lockentry><D:lockscope><D:%s/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>"
SUPPORTED_LOCK = _ENTRY % "exclusive" + _ENTRY % "shared"
_ACTIVE = (
    "<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:{scope}/></D:lockscope><D:depth>{depth}</D:depth>{owner}"
    "<D:timeout>Second-{seconds}</D:timeout><D:locktoken><D:href>{token}</D:href></D:locktoken>"
    "<D:lockroot><D:href>{root}</D:href></D:lockroot></D:activelock>"
)
_BLOCKED = "<D:response><D:href>{href}</D:href><D:status>HTTP/1.1 {status}</D:status></D:response>"


def discovery(area: Area, held: Iterable[Held]) -> str:
    """The content of a lockdiscovery element; "" without locks."""
    return "".join(_active(area, one) for one in held)


def blocked(area: Area, path: bytes, members: Iterable[Held]) -> bytes:
    """The Multi-Status of a collection that cannot be locked with Depth: infinity because of these (RFC 4918, section 9.10.6)."""
    found = [*((href(area.settings.path, held.path, False), 423) for held in members), (href(area.settings.path, path, True), 424)]
    rows = "".join(_BLOCKED.format(href=escape(name), status=f"{code} {HTTPStatus(code).phrase}") for name, code in found)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">{rows}</D:multistatus>\n'.encode()


def _active(area: Area, held: Held) -> str:
    lock = held.lock
    return _ACTIVE.format(
        scope="exclusive" if lock.exclusive else "shared",
        depth="infinity" if lock.deep else "0",
        owner=element(lock.owner) or "",
        seconds=max(0, int(lock.expires - time.time())),
        token=escape(lock.token),
        root=escape(href(area.settings.path, held.path, False)),
    )


def dead_property(name: str, kept: bytes) -> str | None:
    """The element of a property, {namespace}name; None: it is none, or another one, or one that is not for clients to set."""
    whole = element(kept)
    live = name[1:].partition("}")[0] in LIVE_NAMESPACES
    return whole if whole is not None and not live and xml_screen.screen(kept) == name else None


def element(kept: bytes) -> str | None:
    """One element that stands for itself; None: it is none."""
    if kept[:1] != b"<" or kept[1:2] in (b"?", b"!", b""):
        return None
    try:
        xml_screen.screen(kept)
        return kept.decode().rstrip()
    except (xml_screen.BadXml, UnicodeDecodeError):
        return None
