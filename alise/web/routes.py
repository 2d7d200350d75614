"""Every address of the pages, in one table. Those with a site come last: no site can take the name of a page."""

from aiohttp import web

from alise.web import account_pages, linking, logins, public_pages, unlinking
from alise.web.request_guard import guarded
from alise.web.service import SERVICE, Service

_SITE = "/{site:[a-z0-9][a-z0-9._-]{0,62}}"
_PROVIDER = "/{provider:[A-Za-z0-9][A-Za-z0-9._-]{0,62}}"

ROUTES = (
    web.get("/", public_pages.start),
    web.get("/privacy", public_pages.privacy),
    web.get("/privacy.html", public_pages.privacy),
    web.get("/logged-out", public_pages.logged_out),
    web.get("/static/{name}", public_pages.static_file),
    web.get(f"/oauth2{_PROVIDER}/token", logins.come_back),
    web.get(_SITE, account_pages.my_links),
    web.post(f"{_SITE}/login", logins.log_in),
    web.post(f"{_SITE}/logout", logins.log_out),
    web.get(f"{_SITE}/link{_PROVIDER}", linking.show_steps),
    web.post(f"{_SITE}/link{_PROVIDER}", linking.go_on),
    web.get(f"{_SITE}/confirm", linking.show_confirmation),
    web.post(f"{_SITE}/confirm", linking.confirm),
    web.get(f"{_SITE}/linked", linking.linked),
    web.get(f"{_SITE}/unlink{_PROVIDER}", unlinking.show_consequences),
    web.post(f"{_SITE}/unlink{_PROVIDER}", unlinking.unlink),
    web.get(f"{_SITE}/activity", account_pages.activity),
    web.get(f"{_SITE}/sessions", account_pages.sessions),
    web.post(f"{_SITE}/sessions", account_pages.end_session),
)


def add_to(app: web.Application, service: Service) -> None:
    """Guards the pages alone: REST, added before, answers errors in its own way. What nobody else knows gets our page."""
    app[SERVICE] = service
    for route in ROUTES:
        app.router.add_route(route.method, route.path, guarded(route.handler))
    app.router.add_route("*", "/{nothing:.*}", guarded(public_pages.nothing_here))
