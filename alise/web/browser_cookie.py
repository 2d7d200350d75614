"""The cookie: an opaque number of 256 bits and nothing else. Where there is no session yet, it ties a login to this browser.

What a form sends back to show that it came from our page is derived from it; only we and this browser's cookie jar know it.
"""

import hmac
import re
import secrets
from hashlib import sha256

from aiohttp import web

COOKIE = "__Host-alise"
_SHAPE = re.compile(r"[A-Za-z0-9_-]{43}")
BROWSER: web.RequestKey[str] = web.RequestKey("browser", str)
NEW_BROWSER: web.RequestKey[str] = web.RequestKey("new_browser", str)


def new_browser_id() -> str:
    return secrets.token_urlsafe(32)


def read(request: web.BaseRequest) -> str | None:
    """None: none, or one that we never made."""
    value = request.cookies.get(COOKIE, "")
    return value if _SHAPE.fullmatch(value) else None


def write(answer: web.StreamResponse, browser_id: str) -> None:
    """Lax: the way back from a provider must bring it. It ends with the browser; the session behind it ends sooner."""
    answer.set_cookie(COOKIE, browser_id, secure=True, httponly=True, samesite="Lax", path="/")


def form_token(browser_id: str) -> str:
    return sha256(f"form:{browser_id}".encode()).hexdigest()


def is_form_token(browser_id: str, sent: str) -> bool:
    return hmac.compare_digest(form_token(browser_id).encode(), sent.encode())
