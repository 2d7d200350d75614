"""Around every page: the cookie, the checks of a POST, the headers, and errors as pages with a request id.

A POST counts only if it comes from a page of ours: by what the browser says of its origin and by a token in the form, both.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

from alise.web import browser_cookie
from alise.web.browser_cookie import BROWSER, NEW_BROWSER
from alise.web.service import SERVICE

log = logging.getLogger(__name__)

REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
MAX_FORM_BYTES = 16 * 1024
_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action {}; frame-ancestors 'none'; base-uri 'none'"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser hides the origin of our own forms from us
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Strict-Transport-Security": "max-age=31536000",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusal(Exception):
    """Ends a request with a page; `code` chooses its words (see message.html)."""

    def __init__(self, status: int, code: str, wait_s: float = 0.0, **names: str) -> None:
        super().__init__(status, code)
        self.status, self.code, self.wait_s, self.names = status, code, wait_s, names


def guarded(handler: Handler) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        request[REQUEST_ID] = secrets.token_hex(8)
        _know_browser(request)
        answer = await _answer(request, handler)
        if NEW_BROWSER in request:
            browser_cookie.write(answer, request[NEW_BROWSER])
        _protect(answer)
        answer.headers["X-Request-Id"] = request[REQUEST_ID]
        return answer

    return serve


def _protect(answer: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers.setdefault("Content-Security-Policy", _POLICY.format("'self'"))
    answer.headers.setdefault("Cache-Control", "no-store")


def leads_elsewhere(answer: web.StreamResponse) -> web.StreamResponse:
    """A page that sends the browser on: nothing may be posted from it."""
    answer.headers["Content-Security-Policy"] = _POLICY.format("'none'")
    return answer


def renew_browser(request: web.Request) -> str:
    """A new number for a browser whose rights change; the answer sets it."""
    request[NEW_BROWSER] = browser_cookie.new_browser_id()
    return request[NEW_BROWSER]


def _know_browser(request: web.Request) -> None:
    known = browser_cookie.read(request)
    request[BROWSER] = known or browser_cookie.new_browser_id()
    if known is None and request.method == "GET" and not request.path.startswith("/static/"):
        request[NEW_BROWSER] = request[BROWSER]


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        if request.method == "POST":
            await _require_our_form(request)
        return await handler(request)
    except Refusal as refusal:
        return _page(request, refusal)
    except web.HTTPRequestEntityTooLarge:
        return _page(request, Refusal(413, "bad_form"))
    except web.HTTPNotFound:
        return _page(request, Refusal(404, "not_found"))
    except web.HTTPRedirection as elsewhere:
        return web.Response(status=elsewhere.status, headers={"Location": elsewhere.headers["Location"]})
    except Exception:  # what we did not foresee: a page with the id that the log has, and nothing of the fault
        log.exception("request %s failed", request[REQUEST_ID])
        return _page(request, Refusal(500, "failed"))


def _page(request: web.Request, refusal: Refusal) -> web.Response:
    log.info("request %s: %s %s", request[REQUEST_ID], refusal.status, refusal.code)
    pages = request.app[SERVICE].pages
    about = {"code": refusal.code, "names": refusal.names, "request_id": request[REQUEST_ID]}
    answer = pages.render(request, "message.html", refusal.status, **about)
    if refusal.wait_s:
        answer.headers["Retry-After"] = str(int(refusal.wait_s) + 1)
    return answer


async def _require_our_form(request: web.Request) -> None:
    if not _is_our_origin(request):
        raise Refusal(403, "foreign_form")
    if request.content_type != "application/x-www-form-urlencoded" or not 0 < (request.content_length or 0) <= MAX_FORM_BYTES:
        raise Refusal(400, "bad_form")
    try:
        sent = (await request.post()).get("form_token", "")
    except (ValueError, LookupError) as wrong:  # bytes that are no text, or an encoding that is none
        raise Refusal(400, "bad_form") from wrong
    if browser_cookie.read(request) is None or not isinstance(sent, str) or not browser_cookie.is_form_token(request[BROWSER], sent):
        raise Refusal(403, "stale_form")


def _is_our_origin(request: web.Request) -> bool:
    """A browser says at least one of the two; what says neither is no browser."""
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    if origin is not None and origin != request.app[SERVICE].public_url:
        return False
    return site in ("same-origin", None) and (origin is not None or site is not None)
