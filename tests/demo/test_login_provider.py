"""The demo's OpenID provider: a login through its page, as a browser does it, and what a careful provider refuses."""

import base64
import hashlib
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import jwt
import pytest

from teapot.demo.certificates import ServerFiles
from teapot.demo.login_provider import Client, LoginProvider, Person
from teapot.demo.visitor import NotThere, Visitor

BACK = "https://localhost:1/oauth2/site/token"
SECRET = "s3cret+/:%"
VERIFIER = "v" * 43
ASKED = {
    "response_type": "code",
    "client_id": "alise",
    "redirect_uri": BACK,
    "scope": "openid profile",
    "state": "the state",
    "nonce": "the nonce",
    "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode(),
    "code_challenge_method": "S256",
}


@pytest.fixture
def provider(server_files: ServerFiles) -> Iterator[LoginProvider]:
    people = (Person("alice-5e1f", {"name": "Alice <A>", "preferred_username": "alice"}), Person("bob-77aa", {"name": "Bob"}))
    with LoginProvider(server_files, "Demo site", people, "/realms/demo", "https://teapot.example.org") as provider:
        provider.clients["alise"] = Client(SECRET, (BACK,))
        yield provider


@pytest.fixture
def tls(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca))


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


class Caller:
    """Follows no redirect: where it leads is looked at."""

    def __init__(self, provider: LoginProvider, tls: ssl.SSLContext) -> None:
        self._provider = provider
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls), NoRedirect()
        self._opener = urllib.request.build_opener(*handlers)

    def ask(self, path: str, data: dict[str, str] | None = None, **headers: str) -> tuple[int, Any, bytes]:
        body = urlencode(data).encode() if data is not None else None
        request = urllib.request.Request(f"{self._provider.url}{path}", body, headers)
        try:
            answer = self._opener.open(request, timeout=10)
        except urllib.error.HTTPError as other:
            answer = other
        with answer:
            return answer.status, answer.headers, answer.read()

    def code(self, visitor: Visitor, **changes: str) -> str:
        """By the page's button, up to the redirect."""
        page = visitor.open(f"{self._provider.url}/authorize?{urlencode({**ASKED, **changes})}")
        button = next(one for one in page.buttons if "Alice" in one.text)
        _, headers, _ = self.ask("/authorize", dict(button.fields))
        return parse_qs(urlsplit(headers["Location"]).query)["code"][0]

    def exchange(self, code: str, **changes: str) -> tuple[int, dict[str, Any]]:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
        whole = {**form, "client_id": "alise", "client_secret": SECRET, **changes}
        status, _, body = self.ask("/token", whole)
        return status, json.loads(body)


@pytest.fixture
def caller(provider: LoginProvider, tls: ssl.SSLContext) -> Caller:
    return Caller(provider, tls)


@pytest.fixture
def visitor(ca: Path) -> Visitor:
    return Visitor(str(ca))


def test_a_login_ends_in_an_id_token_for_the_client_with_its_nonce(provider: LoginProvider, caller: Caller, visitor: Visitor) -> None:
    status, granted = caller.exchange(caller.code(visitor))
    key = jwt.PyJWKSet.from_dict(provider.keys.key_set()).keys[0]
    said = jwt.decode(granted["id_token"], key, algorithms=["RS256"], audience="alise", issuer=provider.url)
    assert status == 200
    assert (said["sub"], said["nonce"], said["preferred_username"]) == ("alice-5e1f", "the nonce", "alice")
    assert {"auth_time", "iat", "exp"} <= said.keys()


def test_the_access_token_is_for_the_audience_and_good_for_userinfo(provider: LoginProvider, caller: Caller, visitor: Visitor) -> None:
    _, granted = caller.exchange(caller.code(visitor))
    said = jwt.decode(granted["access_token"], options={"verify_signature": False})
    assert (said["iss"], said["sub"]) == (provider.url, "alice-5e1f") and "https://teapot.example.org" in said["aud"]
    status, _, body = caller.ask("/userinfo", Authorization=f"Bearer {granted['access_token']}")
    assert (status, json.loads(body)["sub"]) == (200, "alice-5e1f")
    assert caller.ask("/userinfo", Authorization="Bearer other")[0] == 401


def test_the_redirect_names_state_and_issuer(provider: LoginProvider, caller: Caller, visitor: Visitor) -> None:
    visitor.open(f"{provider.url}/authorize?{urlencode(ASKED)}")
    _, headers, _ = caller.ask("/authorize", dict(visitor.page.buttons[0].fields))
    answer = parse_qs(urlsplit(headers["Location"]).query)
    assert headers["Location"].startswith(BACK + "?")
    assert (answer["state"], answer["iss"]) == (["the state"], [provider.url])


def test_metadata_name_every_endpoint(provider: LoginProvider, caller: Caller) -> None:
    _, _, body = caller.ask("/.well-known/openid-configuration")
    metadata = json.loads(body)
    for name in ("authorization", "token", "userinfo", "end_session"):
        assert metadata[f"{name}_endpoint"].startswith(provider.url)
    assert metadata["authorization_response_iss_parameter_supported"] is True


@pytest.mark.parametrize("changes", [{"redirect_uri": "https://evil.example.org/"}, {"client_id": "other"}])
def test_an_unknown_client_or_redirect_uri_is_told_to_the_person_and_nobody_else(
    caller: Caller, changes: dict[str, str]
) -> None:
    status, headers, _ = caller.ask(f"/authorize?{urlencode({**ASKED, **changes})}")
    assert status == 400 and "Location" not in headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"response_type": "token"}, "invalid_request"), ({"code_challenge_method": "plain"}, "invalid_request"),
     ({"code_challenge": ""}, "invalid_request"), ({"prompt": "none"}, "login_required")],
)  # fmt: skip
def test_what_is_not_offered_is_told_to_the_client(caller: Caller, changes: dict[str, str], error: str) -> None:
    status, headers, _ = caller.ask(f"/authorize?{urlencode({**ASKED, **changes})}")
    assert status == 303
    assert parse_qs(urlsplit(headers["Location"]).query)["error"] == [error]


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"code_verifier": "w" * 43}, 400), ({"redirect_uri": "https://localhost:1/other"}, 400), ({"grant_type": "password"}, 400),
     ({"client_secret": "wrong"}, 401), ({"client_id": "other"}, 401)],
)  # fmt: skip
def test_a_code_is_for_who_asked_for_it(caller: Caller, visitor: Visitor, changes: dict[str, str], status: int) -> None:
    assert caller.exchange(caller.code(visitor), **changes)[0] == status


def test_a_code_is_good_once(caller: Caller, visitor: Visitor) -> None:
    code = caller.code(visitor)
    assert [caller.exchange(code)[0] for _ in range(2)] == [200, 400]


def test_a_secret_may_come_as_basic_authentication(caller: Caller, visitor: Visitor) -> None:
    pair = base64.b64encode(f"alise:{quote_plus(SECRET)}".encode()).decode()
    form = {"grant_type": "authorization_code", "code": caller.code(visitor), "redirect_uri": BACK, "code_verifier": VERIFIER}
    assert caller.ask("/token", form, Authorization=f"Basic {pair}")[0] == 200


def test_logging_out_leads_back_to_a_client_only(caller: Caller) -> None:
    known, other = urlencode({"post_logout_redirect_uri": "https://localhost:1/"}), urlencode({"post_logout_redirect_uri": "https://x.org/"})
    assert caller.ask(f"/logout?{known}")[1]["Location"] == "https://localhost:1/"
    assert caller.ask(f"/logout?{other}")[0] == 200


def test_a_visitor_presses_a_button_and_is_sent_back_with_a_code(provider: LoginProvider, caller: Caller, visitor: Visitor) -> None:
    landing = f"{provider.url}/landing"
    provider.clients["alise"] = Client(SECRET, (landing,))
    visitor.open(f"{provider.url}/authorize?{urlencode({**ASKED, 'redirect_uri': landing})}")
    page = visitor.press("alice")
    code = parse_qs(urlsplit(page.url).query)["code"][0]
    assert page.url.startswith(landing)
    assert caller.exchange(code, redirect_uri=landing)[0] == 200


def test_a_visitor_says_what_is_there_when_a_button_is_not(provider: LoginProvider, visitor: Visitor) -> None:
    visitor.open(f"{provider.url}/authorize?{urlencode(ASKED)}")
    assert "Log in as" in visitor.page.text
    with pytest.raises(NotThere, match=r"Alice <A>.*Bob"):
        visitor.press("Mallory")
