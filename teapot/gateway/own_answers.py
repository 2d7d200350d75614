"""What the gateway answers without an account: OPTIONS, the list of storage areas at "/", and that there is nothing well-known here."""

import html
from urllib.parse import quote

from teapot.channel.worker_messages import ALLOWED
from teapot.gateway.authorise import Areas
from teapot.gateway.failure import Failure
from teapot.gateway.receive import Received
from teapot.gateway.reply import Done, Reply

ALLOW = b",".join(ALLOWED)
_POLICY = b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_PAGE = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Storage areas'
    "</title><style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 system-ui,sans-serif;margin:2rem}}</style></head>"
    "<body><h1>Storage areas</h1><ul>{rows}</ul></body></html>\n"
)
_COLLECTION = (
    "<D:response><D:href>{href}</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype>"
    "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>\n"
)


def is_ours(received: Received) -> bool:
    segments = received.path.segments
    asked_by_nobody = received.method == "OPTIONS" and received.authorization is None
    return asked_by_nobody or not segments or segments[0] == b".well-known"


async def answer(received: Received, reply: Reply, areas: Areas) -> Done:
    if received.method == "OPTIONS":
        reply.head(200, [(b"dav", b"1,2"), (b"allow", ALLOW), (b"ms-author-via", b"DAV")], 0)
        return await reply.end()
    if received.path.segments:
        raise Failure("not_found", "well-known")
    if received.method not in ("GET", "HEAD", "PROPFIND"):
        raise Failure("method_not_allowed", "the list of storage areas", [(b"allow", b"OPTIONS,GET,HEAD,PROPFIND")])
    status, kind, body = _multistatus(received, areas) if received.method == "PROPFIND" else _page(areas)
    fields = [(b"content-type", kind), (b"content-security-policy", _POLICY)]
    reply.head(status, fields, len(body), b"" if received.method == "HEAD" else body)
    return await reply.end()


def _page(areas: Areas) -> tuple[int, bytes, bytes]:
    rows = "".join(f'<li><a href="{html.escape(_href(area.path))}">{html.escape(area.path)}</a></li>' for area in areas.all)
    return 200, b"text/html; charset=utf-8", _PAGE.format(rows=rows).encode()


def _multistatus(received: Received, areas: Areas) -> tuple[int, bytes, bytes]:
    depth = received.fields.get("depth", b"infinity").strip()
    if depth not in (b"0", b"1"):
        raise Failure("depth_not_allowed")
    hrefs = ["/", *(_href(area.path) for area in areas.all if depth == b"1" and area.path.strip("/"))]
    rows = "".join(_COLLECTION.format(href=html.escape(href)) for href in hrefs)
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">\n{rows}</D:multistatus>\n'
    return 207, b"application/xml; charset=utf-8", text.encode()


def _href(path: str) -> str:
    return quote(path.rstrip("/"), safe="/!$&'()*+,;=:@") + "/"
