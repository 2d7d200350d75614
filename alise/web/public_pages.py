"""Pages for everybody: choose a site, privacy, after logging out; and the two static files."""

from pathlib import Path

from aiohttp import web

from alise.web.service import SERVICE

_STATIC = Path(__file__).with_name("static")
_KINDS = {"alise.css": "text/css", "alise.svg": "image/svg+xml"}


async def start(request: web.Request) -> web.StreamResponse:
    """GET /"""
    service = request.app[SERVICE]
    return service.pages.render(request, "start.html", sites=service.sites())


async def privacy(request: web.Request) -> web.StreamResponse:
    """GET /privacy, and under its old name /privacy.html"""
    service = request.app[SERVICE]
    return service.pages.render(request, "privacy.html", sites=service.sites())


async def logged_out(request: web.Request) -> web.StreamResponse:
    """GET /logged-out: where a provider sends people after its own logout"""
    return request.app[SERVICE].pages.render(request, "logged_out.html")


async def static_file(request: web.Request) -> web.StreamResponse:
    """GET /static/{name}: a closed list, no path"""
    name = request.match_info["name"]
    if name not in _KINDS:
        raise web.HTTPNotFound
    headers = {"Content-Type": _KINDS[name], "Cache-Control": "public, max-age=3600"}
    return web.FileResponse(_STATIC / name, headers=headers)


async def nothing_here(request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound
