"""What a person sees of their own account: links, activity, sessions."""

from aiohttp import web

from alise.storage.browser import Notice, Session
from alise.web.request_guard import Refusal
from alise.web.service import SERVICE, Service
from alise.web.signed_in import account_of, require_session, session_of


async def my_links(request: web.Request) -> web.StreamResponse:
    """GET /{site}: the links, or for somebody who is not logged in the way to log in."""
    service, session = request.app[SERVICE], await session_of(request)
    site = service.site(request.match_info["site"]).provider
    if session is None:
        return service.pages.render(request, "site_login.html", site=site, externals=service.externals())
    links = await service.links.links_of(await account_of(service, session))
    notice = await _said_once(service, session)
    rows = [(each, service.by_issuer(each.issuer)) for each in links]
    return service.pages.render(request, "my_links.html", site=site, rows=rows, more=service.externals(), notice=notice)


async def activity(request: web.Request) -> web.StreamResponse:
    """GET /{site}/activity"""
    service, session = request.app[SERVICE], await require_session(request)
    events = await service.accounts.events_of(await account_of(service, session))
    return service.pages.render(request, "activity.html", site=service.site(session.site).provider, events=events)


async def sessions(request: web.Request) -> web.StreamResponse:
    """GET /{site}/sessions"""
    service, session = request.app[SERVICE], await require_session(request)
    all_of_them = await service.sessions.sessions_of(session)
    site = service.site(session.site).provider
    return service.pages.render(request, "sessions.html", site=site, sessions=all_of_them, notice=await _said_once(service, session))


async def end_session(request: web.Request) -> web.StreamResponse:
    """POST /{site}/sessions: one of the person's own, or all but this."""
    service, session = request.app[SERVICE], await require_session(request)
    named = str((await request.post()).get("session", ""))
    theirs = [each for each in await service.sessions.sessions_of(session) if each.id_hash != session.id_hash]
    ending = theirs if named == "others" else [each for each in theirs if each.id_hash.hex() == named]
    if not ending and named != "others":
        raise Refusal(404, "no_such_session", site=session.site)
    for each in ending:
        await service.sessions.end_session(each.id_hash)
    await service.sessions.change(session, notice=Notice("ended"))
    raise web.HTTPSeeOther(f"/{session.site}/sessions")


async def _said_once(service: Service, session: Session) -> Notice | None:
    notice = session.content.notice
    if notice is not None:
        await service.sessions.change(session, notice=None)
    return notice
