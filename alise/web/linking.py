"""Linking in four steps: confirm that it is you, log in with the other account, look at both, say yes.

Only the last step, a POST, links. Both logins are minutes old and happened in this very browser session.
"""

from hashlib import sha256

import msgspec
from aiohttp import web

from alise.login.provider import Provider
from alise.storage.browser import Identity, Notice, Session
from alise.storage.people import LinkRefused
from alise.web.logins import send_to
from alise.web.request_guard import REQUEST_ID, Refusal
from alise.web.service import PROOF_S, SERVICE
from alise.web.signed_in import account_of, is_recent, require_session


async def show_steps(request: web.Request) -> web.StreamResponse:
    """GET /{site}/link/{provider}"""
    service, session = request.app[SERVICE], await require_session(request)
    provider = service.external(request.match_info["provider"]).provider
    return service.pages.render(
        request,
        "link.html",
        provider=provider,
        site=service.site(session.site).provider,
        recent=is_recent(session.content.person),
    )


async def go_on(request: web.Request) -> web.StreamResponse:
    """POST /{site}/link/{provider}: to the site's login if the last one is too long ago, otherwise to the other provider."""
    service, session = request.app[SERVICE], await require_session(request)
    remote = service.external(request.match_info["provider"])
    if not is_recent(session.content.person):
        return await send_to(request, service.site(session.site), "reauth", fresh=True, target=remote.provider.name)
    return await send_to(request, remote, "link", fresh=True)


async def show_confirmation(request: web.Request) -> web.StreamResponse:
    """GET /{site}/confirm"""
    service, session = request.app[SERVICE], await require_session(request)
    proof, provider = _fresh_proof(session), _provider(request, session)
    site = service.site(session.site).provider
    return service.pages.render(request, "confirm.html", proof=proof, mark=_mark(proof), provider=provider, site=site)


async def confirm(request: web.Request) -> web.StreamResponse:
    """POST /{site}/confirm: the one place where a link is made by a person."""
    service, session = request.app[SERVICE], await require_session(request)
    form = await request.post()
    if form.get("decision") != "link":
        await service.sessions.forget_proofs(session)
        raise web.HTTPSeeOther(f"/{session.site}")
    proof, provider = _fresh_proof(session), _provider(request, session)
    account = await account_of(service, session)
    if form.get("shown") != _mark(proof) or not await service.sessions.take_proof(session):
        raise Refusal(409, "nothing_to_confirm", site=session.site)
    try:
        await service.links.link(account, session.content.person, proof, request[REQUEST_ID])
    except LinkRefused as refused:
        raise Refusal(409, refused.code, site=session.site) from refused
    finally:
        await service.sessions.forget_proofs(session)
    await service.sessions.change(session, notice=Notice("linked", provider.shown))
    raise web.HTTPSeeOther(f"/{session.site}/linked")


async def linked(request: web.Request) -> web.StreamResponse:
    """GET /{site}/linked: once after it has happened."""
    service, session = request.app[SERVICE], await require_session(request)
    notice = session.content.notice
    if notice is None or notice.kind != "linked":
        raise web.HTTPSeeOther(f"/{session.site}")
    await service.sessions.change(session, notice=None)
    return service.pages.render(request, "linked.html", name=notice.name, site=service.site(session.site).provider)


def _fresh_proof(session: Session) -> Identity:
    """Both, because either may have been long ago when the button is pressed."""
    proof = session.content.proof
    if proof is None:
        raise Refusal(409, "nothing_to_confirm", site=session.site)
    if not (is_recent(proof, PROOF_S) and is_recent(session.content.person, PROOF_S)):
        raise Refusal(409, "proof_too_old", site=session.site)
    return proof


def _mark(proof: Identity) -> str:
    """Comes back with the form: in another window the person may have proven another identity since this one was shown."""
    return sha256(msgspec.json.encode((proof.provider, proof.issuer, proof.subject))).hexdigest()


def _provider(request: web.Request, session: Session) -> Provider:
    proof = session.content.proof
    assert proof is not None
    return request.app[SERVICE].external(proof.provider).provider
