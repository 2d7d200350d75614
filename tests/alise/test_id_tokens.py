"""What a provider's answer must be before anybody counts as logged in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest

from alise.login.code_flow import Refused, begin, complete
from alise.login.provider import ProvenIdentity, Provider
from alise.login.remote_provider import RemoteProvider
from tests.alise.providers.made_provider import MadeProvider, made_provider

REDIRECT = "https://alise.example.org/oauth2/ext/token"


@asynccontextmanager
async def client_of(made: MadeProvider, timeout_s: float = 5.0, **settings: Any) -> AsyncIterator[RemoteProvider]:
    remote = RemoteProvider(Provider("ext", made.issuer, made.client_id, "secret", **settings), timeout_s)
    try:
        yield remote
    finally:
        await remote.close()


async def log_in(made: MadeProvider, *, fresh: bool = False, answer: dict[str, str] | None = None, **settings: Any) -> ProvenIdentity:
    async with client_of(made, **settings) as remote:
        url, begun = await begin(remote, REDIRECT, fresh=fresh)
        made.asked(url)
        return await complete(remote, REDIRECT, begun, {"code": "once", **(answer or {})})


async def refusal(made: MadeProvider, **asked: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        await log_in(made, **asked)
    return refused.value


async def test_a_right_answer_proves_issuer_and_subject() -> None:
    async with made_provider(claims={"sub": "u@x:y/z+%41", "name": "Ada"}) as made:
        who = await log_in(made)
    assert (who.issuer, who.subject, who.display_name) == (made.issuer, "u@x:y/z+%41", "Ada")


async def test_the_request_has_state_nonce_and_pkce_and_each_only_once() -> None:
    async with made_provider() as made, client_of(made) as remote:
        first, second = [made.asked((await begin(remote, REDIRECT, fresh=True))[0]) for _ in range(2)]
    assert first["code_challenge_method"] == "S256" and first["prompt"] == "login" and first["max_age"] == "0"
    assert first["redirect_uri"] == REDIRECT
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 43 and first[name] != second[name]


WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "another_issuer": {"iss": "https://evil.example"},
    "another_audience": {"aud": "other"},
    "no_audience": {"aud": None},
    "several_audiences_and_no_azp": {"aud": ["alise", "other"]},
    "azp_of_another_client": {"azp": "other"},
    "another_nonce": {"nonce": "x"},
    "no_nonce": {"nonce": None},
    "expired": {"exp": 1},
    "no_exp": {"exp": None},
    "issued_long_ago": {"iat": 1},
    "issued_in_the_future": {"iat": 99999999999},
    "no_iat": {"iat": None},
    "no_subject": {"sub": None},
    "empty_subject": {"sub": ""},
    "subject_that_is_a_list": {"sub": ["a"]},
    "subject_with_a_line_break": {"sub": "a\nb"},
    "at_hash_of_another_token": {"at_hash": "x"},
}


@pytest.mark.parametrize("claims", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS.keys())
async def test_an_id_token_is_refused_with(claims: dict[str, Any]) -> None:
    async with made_provider(claims=claims) as made:
        assert (await refusal(made)).code == "bad_token"


async def test_an_unsigned_id_token_is_refused() -> None:
    async with made_provider() as made:
        made.tokens = {"id_token": jwt.encode({"iss": made.issuer, "sub": "x"}, None, "none")}
        assert (await refusal(made)).code == "bad_token"


async def test_an_id_token_signed_with_the_client_secret_is_refused() -> None:
    async with made_provider(algorithm="HS256", signing_key="secret of the client, thirty-two bytes") as made:
        assert (await refusal(made)).code == "bad_token"


async def test_an_id_token_signed_with_another_key_is_refused() -> None:
    async with made_provider() as other, made_provider(signing_key=other.key) as made:
        assert (await refusal(made)).code == "bad_token"


async def test_an_access_token_in_place_of_the_id_token_is_refused() -> None:
    async with made_provider(header={"typ": "at+jwt"}) as made:
        assert (await refusal(made)).code == "bad_token"


async def test_userinfo_about_somebody_else_is_refused() -> None:
    async with made_provider(userinfo={"sub": "another"}) as made:
        assert (await refusal(made)).code == "other_subject"


async def test_userinfo_never_replaces_what_was_signed() -> None:
    async with made_provider(claims={"name": "Signed"}, userinfo={"name": "Not signed", "email": "a@b.example"}) as made:
        who = await log_in(made)
    assert (who.display_name, who.email) == ("Signed", "a@b.example")


@pytest.mark.parametrize("auth_time", [None, 1, 99999999999, "now", True], ids=str)
async def test_a_login_that_must_be_new_and_is_not_is_refused(auth_time: object) -> None:
    async with made_provider(claims={"auth_time": auth_time}) as made:
        assert (await refusal(made, fresh=True)).code == "not_fresh"


async def test_mix_up_an_answer_that_names_another_issuer_sends_no_code_anywhere() -> None:
    async with made_provider() as made:
        refused = await refusal(made, answer={"iss": "https://evil.example"})
        assert (refused.code, made.sent_codes) == ("other_issuer", [])


async def test_mix_up_a_provider_that_names_itself_must_do_so_also_in_errors() -> None:
    async with made_provider(metadata={"authorization_response_iss_parameter_supported": True}) as made:
        assert (await refusal(made)).code == "other_issuer"
        assert (await refusal(made, answer={"error": "access_denied"})).code == "other_issuer"
        assert (await refusal(made, answer={"error": "access_denied", "iss": made.issuer})).code == "declined"
        assert (await log_in(made, answer={"iss": made.issuer})).subject == "somebody"


async def test_a_code_that_is_refused_is_not_sent_again() -> None:
    async with made_provider(tokens={"id_token": None}) as made:
        await refusal(made)
        assert made.sent_codes == ["once"]


SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "keycloak": (
        {"azp": "alise", "typ": "ID", "acr": "1", "sid": "s-1", "preferred_username": "ada", "aud": "alise", "sub": "8d1b-44"},
        {"username_claim": "preferred_username"},
        {"username": "ada", "acr": "1", "session_at_provider": "s-1"},
    ),
    "egi_check_in": (
        {"sub": "e9c37aa@egi.eu", "acr": "https://refeds.org/assurance/profile/espresso",
         "eduperson_assurance": ["https://refeds.org/assurance/IAP/high", 7], "voperson_id": "e9c37aa@egi.eu"},
        {},
        {"subject": "e9c37aa@egi.eu", "assurance": ("https://refeds.org/assurance/IAP/high",)},
    ),
    "indigo_iam": (
        {"sub": "73f16d93-2441", "aud": ["alise"], "kid": "rsa1", "amr": ["pwd"], "groups": ["/cms"], "preferred_username": "ada"},
        {},
        {"amr": ("pwd",), "subject": "73f16d93-2441", "username": "73f16d93-2441"},
    ),
    "google": (
        {"sub": "11024", "azp": "alise", "email_verified": True, "email": "ada@gmail.example", "auth_time": None, "hd": "x"},
        {"fresh_by": "select"},
        {"email": "ada@gmail.example", "authenticated_at": None},
    ),
}


@pytest.mark.parametrize(("claims", "settings", "expected"), SHAPES.values(), ids=SHAPES.keys())
async def test_a_login_in_the_shape_of(claims: dict[str, Any], settings: dict[str, Any], expected: dict[str, Any]) -> None:
    async with made_provider(claims=claims) as made:
        who = await log_in(made, fresh=True, **settings)
    assert {name: getattr(who, name) for name in expected} == expected


async def test_claims_that_are_no_short_text_count_as_absent() -> None:
    async with made_provider(claims={"name": {"a": 1}, "email": "x" * 300, "acr": 7, "amr": "pwd", "preferred_username": None}) as made:
        who = await log_in(made)
    assert (who.display_name, who.email, who.acr, who.amr) == ("", "", "", ("pwd",))
