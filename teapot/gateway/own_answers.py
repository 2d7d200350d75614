"""What the gateway answers without an account: OPTIONS, the list of storage areas at "/", and below "/.well-known" (well_known.py)."""

import html
from urllib.parse import quote, unquote_to_bytes

from teapot.channel.worker_messages import ALLOWED
from teapot.gateway import well_known
from teapot.gateway.areas import Areas
from teapot.gateway.failure import Failure
from teapot.gateway.receive import Received
from teapot.gateway.reply import Done, Reply
from teapot.pages import frame
from teapot.pages.frame import POLICY

ALLOW = b",".join(ALLOWED)
_COLLECTION = (
    "<D:response><D:href>{href}</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype>"
    "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>\n"
)


def is_ours(received: Received) -> bool:
    segments = received.path.segments
    asked_by_nobody = received.method == "OPTIONS" and received.authorization is None
    return asked_by_nobody or not segments or segments[0] == b".well-known"


async def answer(received: Received, reply: Reply, areas: Areas, tape_rest_api: bytes) -> Done:
    """tape_rest_api: the site's document for WLCG's discovery; b"": it has none."""
    if received.method == "OPTIONS":
        reply.head(200, [(b"dav", b"1,2"), (b"allow", ALLOW), (b"ms-author-via", b"DAV")], 0)
        return await reply.end()
    if received.path.segments:
        return await well_known.answer(received, reply, tape_rest_api)
    if received.method not in ("GET", "HEAD", "PROPFIND"):
        raise Failure("method_not_allowed", "the list of storage areas", [(b"allow", b"OPTIONS,GET,HEAD,PROPFIND")])
    status, kind, body = _multistatus(received, areas) if received.method == "PROPFIND" else _page(areas)
    fields = [(b"content-type", kind), (b"content-security-policy", POLICY)]
    reply.head(status, fields, len(body), b"" if received.method == "HEAD" else body)
    return await reply.end()


def _page(areas: Areas) -> tuple[int, bytes, bytes]:
    named = ((html.escape(_href(area.path)), frame.shown(unquote_to_bytes(area.path))) for area in areas.all)
    links = "".join(f'<li><a href="{href}">{name}</a></li>\n' for href, name in named)
    page = frame.head(b"Storage areas", b"Storage areas", ()) + f'<ul class="areas">\n{links}</ul>\n' + frame.tail()
    return 200, b"text/html; charset=utf-8", page.encode()


def _multistatus(received: Received, areas: Areas) -> tuple[int, bytes, bytes]:
    depth = received.fields.get("depth", b"infinity").strip()
    if depth not in (b"0", b"1"):
        raise Failure("depth_not_allowed")
    hrefs = ["/", *(_href(area.path) for area in areas.all if depth == b"1" and area.path.strip("/"))]
    rows = "".join(_COLLECTION.format(href=html.escape(href)) for href in hrefs)
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">\n{rows}</D:multistatus>\n'
    return 207, b"application/xml; charset=utf-8", text.encode()


def _href(path: str) -> str:
    return quote(unquote_to_bytes(path.rstrip("/")), safe="/!$&'()*+,;=:@") + "/"
