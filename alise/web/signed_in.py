"""Who is asking: the session behind the cookie, of this site, and how fresh its login is."""

import time

from aiohttp import web

from alise.storage.browser import Identity, Session
from alise.storage.people import Account, LinkRefused
from alise.web.browser_cookie import BROWSER
from alise.web.pages import SESSION
from alise.web.request_guard import Refusal
from alise.web.service import RECENT_S, SERVICE, Service

_CLOCKS_DIFFER_S = 60


async def session_of(request: web.Request) -> Session | None:
    """Of the site in the path; a session of another site is none here, nor one of an issuer that the site has no more."""
    service = request.app[SERVICE]
    site = service.site(request.match_info["site"]).provider
    session = await service.sessions.session(request[BROWSER])
    if session is None or (session.site, session.content.person.issuer) != (site.name, site.issuer):
        return None
    request[SESSION] = session
    return session


async def require_session(request: web.Request) -> Session:
    session = await session_of(request)
    if session is None:
        raise Refusal(401, "signed_out", site=request.match_info["site"])
    return session


async def account_of(service: Service, session: Session) -> Account:
    try:
        return await service.accounts.account_for(session.site, session.content.person, session.content.username)
    except LinkRefused as refused:
        raise Refusal(403, refused.code, site=session.site) from refused


def is_recent(person: Identity, within_s: float = RECENT_S) -> bool:
    """A time that is yet to come is none: whoever said it has another clock, or ours was set back."""
    return -_CLOCKS_DIFFER_S <= time.time() - person.authenticated_at <= within_s
