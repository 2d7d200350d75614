"""Logging in: sends the browser to a provider, and receives it back at the registered address.

What comes back does one of three things, as it was begun and never otherwise: a login starts a session, a renewed login makes it fresh, a
second login is kept as a proof for the confirmation page. None of them links anything. An external identity never becomes the session's.
"""

import logging
import time

import msgspec
from aiohttp import web

from alise.login.code_flow import Begun as BegunLogin
from alise.login.code_flow import Refused, begin, complete, logout_url
from alise.login.provider import ProvenIdentity
from alise.login.remote_provider import RemoteProvider
from alise.storage.browser import Flow, Identity, Purpose, Session, SessionContent
from alise.storage.people import LinkRefused
from alise.web.browser_cookie import BROWSER
from alise.web.pages import SESSION
from alise.web.request_guard import REQUEST_ID, Refusal, leads_elsewhere, renew_browser
from alise.web.service import SERVICE
from alise.web.signed_in import session_of

log = logging.getLogger(__name__)

_LONGEST_BROWSER_NAME = 200


async def log_in(request: web.Request) -> web.StreamResponse:
    """POST /{site}/login"""
    service = request.app[SERVICE]
    return await send_to(request, service.site(request.match_info["site"]), "login", fresh=False)


async def send_to(
    request: web.Request, remote: RemoteProvider, purpose: Purpose, *, fresh: bool, target: str = "", link_id: str = ""
) -> web.StreamResponse:
    """A page that leads to the provider. Chromium holds every address on the way against form-action, so a redirect would not do."""
    service = request.app[SERVICE]
    if wait_s := service.admit_login(request):
        raise Refusal(429, "too_many_logins", wait_s, site=request.match_info["site"])
    try:
        url, begun = await begin(remote, service.redirect_uri(remote), fresh=fresh, language=service.pages.language(request))
    except Refused as refused:
        raise _page_of(remote, refused, request.match_info["site"]) from refused
    flow = Flow(purpose, request.match_info["site"], begun.nonce, begun.verifier, fresh, target, link_id)
    await service.sessions.add_flow(begun.state, request[BROWSER], remote.provider.name, flow)
    return leads_elsewhere(service.pages.render(request, "hand_over.html", url=url, provider=remote.provider))


async def come_back(request: web.Request) -> web.StreamResponse:
    """GET /oauth2/{provider}/token: the answer counts in the browser that asked, once, from the provider that was asked."""
    service = request.app[SERVICE]
    remote = service.providers.get(request.match_info["provider"])
    if remote is None:
        raise web.HTTPNotFound
    state = _single(request, "state")
    flow = await service.sessions.take_flow(state, request[BROWSER], remote.provider.name)
    if flow is None:
        raise Refusal(400, "unknown_login")
    who = await _proven(request, remote, state, flow)
    return await _AFTER[flow.purpose](request, remote, flow, who)


async def log_out(request: web.Request) -> web.StreamResponse:
    """POST /{site}/logout: here, and at the provider where it has such a place."""
    service = request.app[SERVICE]
    session, remote = await session_of(request), service.site(request.match_info["site"])
    renew_browser(request)
    url = f"{service.public_url}/logged-out"
    if session is not None:
        await service.sessions.end_session(session.id_hash)
        url = await logout_url(remote, session.content.id_token, url) or url
        del request[SESSION]
    answer = service.pages.render(request, "hand_over.html", url=url, provider=None)
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return leads_elsewhere(answer)


async def _proven(request: web.Request, remote: RemoteProvider, state: str, flow: Flow) -> ProvenIdentity:
    service = request.app[SERVICE]
    begun = BegunLogin(state, flow.nonce, flow.verifier, flow.fresh)
    answer = {name: _single(request, name) for name in ("code", "iss", "error") if name in request.query}
    try:
        return await complete(remote, service.redirect_uri(remote), begun, answer)
    except Refused as refused:
        raise _page_of(remote, refused, flow.site) from refused


async def _after_login(request: web.Request, remote: RemoteProvider, flow: Flow, who: ProvenIdentity) -> web.StreamResponse:
    person = _identity(remote, flow, who)
    account = await _account(request, flow.site, person, who.username)
    content = SessionContent(person, account, _browser_name(request), who.id_token)
    return await _new_session(request, flow.site, content, f"/{flow.site}")


def _browser_name(request: web.Request) -> str:
    """Bytes that are no UTF-8 are half a surrogate pair in the text of a header, which can be stored nowhere."""
    return request.headers.get("User-Agent", "")[:_LONGEST_BROWSER_NAME].encode(errors="replace").decode()


async def _after_reauth(request: web.Request, remote: RemoteProvider, flow: Flow, who: ProvenIdentity) -> web.StreamResponse:
    """Fresh is the session only if it is the same person's."""
    session = await _session(request, flow.site)
    person, before = _identity(remote, flow, who), session.content.person
    if (person.issuer, person.subject) != (before.issuer, before.subject):
        raise Refusal(403, "somebody_else", site=flow.site)
    content = msgspec.structs.replace(session.content, person=person, id_token=who.id_token, proof=None)
    step = f"/{flow.site}/unlink/{flow.target}?link={flow.link_id}" if flow.link_id else f"/{flow.site}/link/{flow.target}"
    return await _new_session(request, flow.site, content, step)


async def _after_link(request: web.Request, remote: RemoteProvider, flow: Flow, who: ProvenIdentity) -> web.StreamResponse:
    service, session = request.app[SERVICE], await _session(request, flow.site)
    await service.sessions.change(session, proof=_identity(remote, flow, who))
    raise web.HTTPSeeOther(f"/{flow.site}/confirm")


_AFTER = {"login": _after_login, "reauth": _after_reauth, "link": _after_link}


async def _session(request: web.Request, site: str) -> Session:
    session = await request.app[SERVICE].sessions.session(request[BROWSER])
    if session is None or session.site != site:
        raise Refusal(401, "signed_out", site=site)
    return session


async def _new_session(request: web.Request, site: str, content: SessionContent, then: str) -> web.StreamResponse:
    """A new number at every login: what was known before it, or planted, is worth nothing."""
    sessions, old = request.app[SERVICE].sessions, await request.app[SERVICE].sessions.session(request[BROWSER])
    await sessions.begin_session(renew_browser(request), site, content, old.id_hash if old else None)
    return web.Response(status=303, headers={"Location": then})


async def _account(request: web.Request, site: str, person: Identity, username: str | None) -> str:
    try:
        return (await request.app[SERVICE].accounts.log_in(site, person, username or "", request[REQUEST_ID])).username
    except LinkRefused as refused:
        raise Refusal(403, refused.code, site=site) from refused


def _identity(remote: RemoteProvider, flow: Flow, who: ProvenIdentity) -> Identity:
    """A login counts as recent only if the provider says when it was; one that never can (Google) has just let somebody choose, if it was
    asked to."""
    unsaid = time.time() if remote.provider.fresh_by == "select" and flow.fresh else 0.0
    when = who.authenticated_at if who.authenticated_at is not None else unsaid
    return Identity(who.provider, who.issuer, who.subject, when, who.display_name, who.email, who.acr, who.amr, who.assurance)


def _single(request: web.Request, name: str) -> str:
    """A parameter given twice is nobody's answer."""
    values = request.query.getall(name, [])
    if len(values) != 1:
        raise Refusal(400, "unknown_login")
    return str(values[0])


def _page_of(remote: RemoteProvider, refused: Refused, site: str) -> Refusal:
    log.warning("login at %s refused: %s: %s", remote.provider.name, refused.code, refused.detail)
    status = {"unreachable": 503, "declined": 403}.get(refused.code, 400)
    code = {"unreachable": "provider_away", "declined": "declined", "not_fresh": "not_fresh"}.get(refused.code, "bad_answer")
    return Refusal(status, code, provider=remote.provider.shown, site=site)


