"""An OpenID provider for demos and tests at which people log in: the authorization code flow with PKCE, over HTTPS.

Nobody has a password: the page asks who one is, and whoever presses a button is believed. So it is for loopback addresses only.
It refuses what a careful provider refuses (another redirect URI, a code used twice or by another client, a wrong verifier),
because the demo is to show the flow as it is.
"""

import base64
import hashlib
import hmac
import html
import secrets
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_plus, urlencode

from aiohttp import web

from teapot.demo import signing_keys
from teapot.demo.certificates import ServerFiles
from teapot.demo.issuer import Issuer

CODE_LIFETIME_S = 60.0
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title></head><body><main>
<h1>{name}</h1><p>Log in as</p>{buttons}</main></body></html>"""
_BUTTON = '<form method="post"><input type="hidden" name="flow" value="{flow}"><button name="person" value="{id}">{label}</button></form>'


class Client(NamedTuple):
    secret: str
    redirect_uris: tuple[str, ...]


class Person(NamedTuple):
    subject: str
    claims: Mapping[str, Any]  # name, preferred_username, email …


class _Asked(NamedTuple):
    client: str
    redirect_uri: str
    state: str
    nonce: str
    challenge: str
    scope: str


class _Granted(NamedTuple):
    asked: _Asked
    person: Person
    at: float


class LoginProvider(Issuer):
    """`with LoginProvider(files, "Demo federation", people) as provider: provider.clients["alise"] = Client(…)`."""

    def __init__(self, files: ServerFiles, name: str, people: tuple[Person, ...], path: str = "", audience: str = "") -> None:
        """audience: of the access tokens, beside the provider itself."""
        super().__init__(files, path)
        self.name, self.people, self.audience = name, {person.subject: person for person in people}, audience
        self.clients: dict[str, Client] = {}
        self._flows: dict[str, _Asked] = {}
        self._codes: dict[str, _Granted] = {}
        self._tokens: dict[str, Person] = {}  # by access token

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = (request.method, request.path.removeprefix(self._path))
        if path == ("GET", "/authorize"):
            return self._ask_who(request)
        if path == ("POST", "/authorize"):
            return await self._send_back(request)
        if path == ("POST", "/token"):
            return await self._exchange(request)
        if path == ("GET", "/userinfo"):
            return self._tell(request)
        if path == ("GET", "/logout"):
            return self._log_out(request)
        return await super()._answer(request)

    def _metadata(self) -> dict[str, Any]:
        ends = ("authorization", "authorize"), ("token", "token"), ("userinfo", "userinfo"), ("end_session", "logout")
        return {
            **super()._metadata(),
            **{f"{name}_endpoint": f"{self.url}/{path}" for name, path in ends},
            "scopes_supported": ["openid", "profile", "email"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "authorization_response_iss_parameter_supported": True,
        }

    # --- in the browser

    def _ask_who(self, request: web.BaseRequest) -> web.Response:
        asked = request.query
        client = self.clients.get(asked.get("client_id", ""))
        if client is None or asked.get("redirect_uri") not in client.redirect_uris:
            return web.Response(status=400, text="This client, or its redirect URI, is not registered.")
        flow = _Asked(
            asked["client_id"],
            asked["redirect_uri"],
            asked.get("state", ""),
            asked.get("nonce", ""),
            asked.get("code_challenge", ""),
            asked.get("scope", ""),
        )
        if asked.get("response_type") != "code" or asked.get("code_challenge_method") != "S256" or not flow.challenge:
            return self._redirect(flow, {"error": "invalid_request", "error_description": "the code flow with PKCE (S256) is offered"})
        if asked.get("prompt") == "none":
            return self._redirect(flow, {"error": "login_required"})
        return self._page(flow)

    def _page(self, asked: _Asked) -> web.Response:
        """Whoever has logged in before is asked again: every login is a new one."""
        flow = secrets.token_urlsafe()
        self._flows[flow] = asked
        people = [(subject, person.claims.get("name", subject)) for subject, person in self.people.items()]
        buttons = [_BUTTON.format(flow=flow, id=html.escape(subject), label=html.escape(label)) for subject, label in people]
        return web.Response(text=_PAGE.format(name=html.escape(self.name), buttons="".join(buttons)), content_type="text/html")

    async def _send_back(self, request: web.BaseRequest) -> web.Response:
        form = await request.post()
        asked, person = self._flows.pop(str(form.get("flow")), None), self.people.get(str(form.get("person")))
        if asked is None or person is None:
            return web.Response(status=400, text="This login is over: begin again.")
        code = secrets.token_urlsafe()
        self._codes[code] = _Granted(asked, person, time.time())
        return self._redirect(asked, {"code": code})

    def _redirect(self, asked: _Asked, answer: dict[str, str]) -> web.Response:
        query = urlencode({**answer, "state": asked.state, "iss": self.url})
        return web.Response(status=303, headers={"Location": f"{asked.redirect_uri}?{query}", "Cache-Control": "no-store"})

    def _log_out(self, request: web.BaseRequest) -> web.Response:
        back = request.query.get("post_logout_redirect_uri")
        known = {uri for client in self.clients.values() for uri in client.redirect_uris}
        if back and any(uri.startswith(f"{back.rstrip('/')}/") for uri in known):
            return web.Response(status=303, headers={"Location": back})
        return web.Response(text="Logged out.")

    # --- for clients

    async def _exchange(self, request: web.BaseRequest) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        client = self._client(request, form)
        if client is None:
            return _error(401, "invalid_client")
        granted = self._codes.pop(form.get("code", ""), None)  # once, whatever becomes of it
        if form.get("grant_type") != "authorization_code" or granted is None or not _is_for(granted, client, form):
            return _error(400, "invalid_grant")
        return web.json_response(self._grant(granted), headers={"Cache-Control": "no-store"})

    def _client(self, request: web.BaseRequest, form: Mapping[str, str]) -> str | None:
        """Its name, if the secret is right."""
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            name, _, secret = base64.b64decode(given).decode().partition(":")
            name, secret = unquote_plus(name), unquote_plus(secret)
        known = self.clients.get(name)
        return name if known and hmac.compare_digest(known.secret.encode(), secret.encode()) else None

    def _grant(self, granted: _Granted) -> dict[str, Any]:
        asked, person = granted.asked, granted.person
        said = {**signing_keys.claims(self.url, person.subject, asked.client), "auth_time": int(granted.at), **person.claims}
        access = self.token(person.subject, [self.audience or self.url, self.url], client_id=asked.client)
        self._tokens[access] = person
        nonce = {"nonce": asked.nonce} if asked.nonce else {}
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": signing_keys.TOKEN_LIFETIME_S,
            "scope": asked.scope,
            "id_token": self.keys.sign({**said, **nonce}),
        }

    def _tell(self, request: web.BaseRequest) -> web.Response:
        person = self._tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if person is None:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return web.json_response({"sub": person.subject, **person.claims})


def _is_for(granted: _Granted, client: str, form: Mapping[str, str]) -> bool:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
    asked = granted.asked
    told = (client, form.get("redirect_uri"), challenge)
    return told == (asked.client, asked.redirect_uri, asked.challenge) and time.time() - granted.at < CODE_LIFETIME_S


def _error(status: int, code: str) -> web.Response:
    return web.json_response({"error": code}, status=status, headers={"Cache-Control": "no-store"})
