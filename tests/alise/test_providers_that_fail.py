"""A provider that is down, slow or talks nonsense costs the logins at that provider, for a while, and nothing else."""

import asyncio
import time

import pytest
from aiohttp import web

from alise.login.code_flow import Refused, begin, complete
from alise.login.provider import Provider
from alise.login.remote_provider import RemoteProvider
from tests.alise.providers.made_provider import made_provider
from tests.alise.providers.oidc_provider import free_port
from tests.alise.test_id_tokens import REDIRECT, client_of, log_in, refusal

METADATA = "/.well-known/openid-configuration"


async def never(_: web.Request) -> web.Response:
    await asyncio.sleep(60)
    return web.Response()


ANSWERS = {
    "garbage": lambda _: web.Response(body=b"\xff\x00<html>"),
    "a_list": lambda _: web.json_response([1]),
    "10_MiB_of_JSON": lambda _: web.Response(body=b'{"a":"' + b"x" * (10 << 20) + b'"}'),
    "deep_nesting": lambda _: web.Response(body=b'{"a":' + b"[" * 200000 + b"]" * 200000 + b"}"),
    "500": lambda _: web.Response(status=500),
    "a_redirect_elsewhere": lambda _: web.Response(status=302, headers={"Location": "https://evil.example/"}),
    "never": never,
}


@pytest.mark.parametrize("path", [METADATA, "/keys", "/token", "/userinfo"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_a_login_is_refused_within_bounds_when_the_provider_answers(path: str, answer: object) -> None:
    async with made_provider(answers={path: answer}) as made, client_of(made, timeout_s=0.5) as remote:
        began = time.monotonic()
        with pytest.raises(Refused) as refused:
            url, begun = await begin(remote, REDIRECT, fresh=False)
            made.asked(url)
            await complete(remote, REDIRECT, begun, {"code": "once"})
        assert refused.value.code in ("unreachable", "bad_token") and time.monotonic() - began < 3


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": None},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": 7},
        {"token_endpoint": "https://evil.example/\nERROR alise: a line of its own in the log"},
        {"jwks_uri": "https://evil.example/\nERROR alise: a line of its own in the log"},
        {"authorization_endpoint": "https://evil.example/\udcff"},
        {"end_session_endpoint": "https://evil.example/ x"},
    ],
    ids=[
        "another_issuer",
        "no_token_endpoint",
        "an_address_without_tls",
        "keys_that_are_a_number",
        "an_address_of_two_lines",
        "keys_at_an_address_of_two_lines",
        "an_address_that_is_no_text",
        "an_address_with_a_space",
    ],
)
async def test_metadata_are_refused_with(metadata: dict[str, object]) -> None:
    async with made_provider(metadata=metadata) as made:
        assert (await refusal(made)).code == "unreachable"


async def test_without_optional_addresses_a_login_works() -> None:
    async with made_provider(metadata={"userinfo_endpoint": None, "end_session_endpoint": None}) as made:
        assert (await log_in(made)).subject == "somebody"


async def test_a_provider_that_was_away_is_found_again_and_not_asked_at_every_click() -> None:
    async with made_provider() as made:
        now, asked = 0.0, 0

        def away(_: web.Request) -> web.Response:
            nonlocal asked
            asked += 1
            return web.Response(status=503)

        remote = RemoteProvider(Provider("ext", made.issuer, "alise", "secret"), 1.0, clock=lambda: now)
        made.answers[METADATA] = away
        for _ in range(5):
            with pytest.raises(Refused):
                await begin(remote, REDIRECT, fresh=False)
        assert asked == 1 and not remote.is_well
        del made.answers[METADATA]
        now = 60.0
        await begin(remote, REDIRECT, fresh=False)
        assert remote.is_well
        await remote.close()


async def test_what_is_known_of_a_provider_is_kept_while_it_is_away() -> None:
    now = 0.0
    async with made_provider() as made:
        remote = RemoteProvider(Provider("ext", made.issuer, "alise", "secret"), 1.0, clock=lambda: now)
        await remote.metadata()
    now = 7200.0
    assert (await remote.metadata()).token_endpoint
    await remote.close()


async def test_making_a_client_of_a_provider_asks_nobody() -> None:
    began = time.monotonic()
    remotes = [RemoteProvider(Provider(f"p{n}", f"https://127.0.0.1:{free_port()}", "c", "s")) for n in range(20)]
    assert time.monotonic() - began < 2
    for remote in remotes:
        await remote.close()


def test_the_secret_of_a_client_has_no_readable_form() -> None:
    assert "hidden" not in repr(Provider("a", "https://a.example", "c", "hidden"))


async def test_what_a_provider_says_writes_no_line_of_its_own_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with made_provider(metadata={"jwks_uri": "https://127.0.0.1:1/\nERROR alise: forged"}) as made:
        await refusal(made)
    assert "\nERROR alise: forged" not in caplog.text
