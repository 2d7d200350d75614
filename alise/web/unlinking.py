"""Taking a link away: a page that says what follows, a recent login, a POST. It takes effect at once."""

from aiohttp import web

from alise.storage.browser import Notice, Session
from alise.storage.people import Account, Link
from alise.web.logins import send_to
from alise.web.request_guard import REQUEST_ID, Refusal
from alise.web.service import SERVICE
from alise.web.signed_in import account_of, is_recent, require_session


async def show_consequences(request: web.Request) -> web.StreamResponse:
    """GET /{site}/unlink/{provider}, with ?link= where a person has several there"""
    service, session = request.app[SERVICE], await require_session(request)
    link, others = await _link(request, session, str(request.query.get("link", "")))
    provider = service.external(request.match_info["provider"]).provider
    site = service.site(session.site).provider
    recent = is_recent(session.content.person)
    return service.pages.render(request, "unlink.html", link=link, others=others, provider=provider, site=site, recent=recent)


async def unlink(request: web.Request) -> web.StreamResponse:
    """POST /{site}/unlink/{provider}"""
    service, session = request.app[SERVICE], await require_session(request)
    link, _ = await _link(request, session, str((await request.post()).get("link", "")))
    remote = service.external(request.match_info["provider"])
    if not is_recent(session.content.person):
        name = remote.provider.name
        return await send_to(request, service.site(session.site), "reauth", fresh=True, target=name, link_id=link.id)
    if not await service.links.unlink(await account_of(service, session), link.id, request[REQUEST_ID]):
        raise Refusal(409, "no_such_link", site=session.site)  # taken away or out of use a moment ago
    await service.sessions.forget_proofs(session)
    await service.sessions.change(session, notice=Notice("unlinked", remote.provider.shown))
    raise web.HTTPSeeOther(f"/{session.site}")


async def _link(request: web.Request, session: Session, link_id: str) -> tuple[Link, int]:
    """One of the person's own at this provider, and how many others there are."""
    service = request.app[SERVICE]
    issuer = service.external(request.match_info["provider"]).provider.issuer
    account: Account = await account_of(service, session)
    theirs = await service.links.links_of(account)
    here = [each for each in theirs if each.issuer == issuer]
    named = [each for each in here if link_id in ("", each.id)]
    if not named:
        raise Refusal(404, "no_such_link", site=session.site)
    if named[0].suspended:
        raise Refusal(403, "link_suspended", site=session.site)
    return named[0], len(theirs) - 1
