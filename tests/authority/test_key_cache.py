"""When an issuer is asked for its keys, how long they count, and which of them may verify what."""

import asyncio
from typing import Any

import pytest

from common.discovery import key_set_url, metadata_urls
from common.https_json import FetchFailed, redirected
from common.key_cache import FRESH_S, PAUSE_S, TRUSTED_UNASKED_S, USABLE_S, KeyCache, Use, pause_s, use
from common.signing_keys import fitting, read_keys
from common.token_verification import BadToken, Expected, verified
from tests.authority.issuer import OTHER_RSA, P256, RSA, TestIssuer, jwk
from tests.authority.process import PUBLIC_URL


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Published:
    """What an issuer publishes, or None while it is away."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys: tuple[dict[str, Any], ...] | None = keys
        self.asked = 0

    async def __call__(self) -> dict[str, Any]:
        self.asked += 1
        if self.keys is None:
            raise FetchFailed("away")
        return {"keys": list(self.keys)}


def test_keys_are_used_according_to_their_age() -> None:
    assert use(0) is use(FRESH_S) is Use.AT_ONCE
    assert use(FRESH_S + 1) is use(TRUSTED_UNASKED_S) is Use.AND_FETCH_MEANWHILE
    assert use(TRUSTED_UNASKED_S + 1) is use(float("inf")) is Use.AFTER_FETCHING


def test_the_pause_grows_with_failures_up_to_the_usual_one() -> None:
    assert [pause_s(failures) for failures in (1, 2, 3, 4, 5, 50)] == [2, 4, 8, 16, PAUSE_S, PAUSE_S]
    assert pause_s(0) == PAUSE_S


async def test_an_unknown_key_makes_one_fetch_in_a_pause() -> None:
    published, clock = Published(jwk(RSA, "one")), Clock()
    cache = KeyCache(published, 1.0, clock)
    assert await cache.candidates("one", "RS256")
    for _ in range(5):
        assert not await cache.candidates("two", "RS256")
    assert published.asked == 1
    published.keys = (jwk(OTHER_RSA, "two"),)
    clock.now += PAUSE_S
    assert await cache.candidates("two", "RS256")
    assert not await cache.candidates("one", "RS256"), "a key that is withdrawn counts no more"
    assert published.asked == 2


async def test_keys_are_used_for_two_days_of_an_outage_and_not_longer() -> None:
    published, clock = Published(jwk(RSA, "one")), Clock()
    cache = KeyCache(published, 1.0, clock)
    assert await cache.candidates("one", "RS256")
    published.keys = None
    for hours in (2, 7, 20, 18):
        clock.now += hours * 3600
        assert await cache.candidates("one", "RS256")
    clock.now += USABLE_S
    with pytest.raises(FetchFailed, match="away"):
        await cache.candidates("one", "RS256")
    await cache.close()


async def test_old_keys_are_not_used_before_the_issuer_was_asked_whether_they_still_count() -> None:
    published, clock = Published(jwk(RSA, "one")), Clock()
    cache = KeyCache(published, 1.0, clock)
    assert await cache.candidates("one", "RS256")
    published.keys = ()
    clock.now += TRUSTED_UNASKED_S + 1
    assert not await cache.candidates("one", "RS256")


async def test_who_stops_waiting_does_not_break_off_the_fetch_of_others() -> None:
    released = asyncio.Event()

    async def slow() -> dict[str, Any]:
        await released.wait()
        return {"keys": [jwk(RSA, "one")]}

    cache = KeyCache(slow, 5.0)
    first, second = (asyncio.create_task(cache.candidates("one", "RS256")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    released.set()
    assert len(await second) == 1
    assert cache.fetches == {"ok": 1}


async def test_nobody_waits_longer_than_their_patience() -> None:
    async def never() -> dict[str, Any]:
        await asyncio.sleep(3600)
        return {}

    cache = KeyCache(never, 0.05)
    with pytest.raises(FetchFailed):
        await asyncio.wait_for(cache.candidates("one", "RS256"), 2)
    await cache.close()


async def test_a_key_that_replaces_another_under_the_same_name_is_found() -> None:
    published, clock, issuer = Published(jwk(RSA, "rsa")), Clock(), TestIssuer()
    cache = KeyCache(published, 1.0, clock)
    expected = {issuer.url: Expected(cache, frozenset((PUBLIC_URL,)), True)}
    await verified(issuer.token(), expected)
    published.keys = (jwk(OTHER_RSA, "rsa"),)
    with pytest.raises(BadToken, match="signature"):
        await verified(issuer.token(OTHER_RSA), expected)
    clock.now += PAUSE_S
    assert (await verified(issuer.token(OTHER_RSA), expected)).subject == "alice-at-home"


def test_keys_that_are_no_use_for_signatures_are_passed_over() -> None:
    good, curve = jwk(RSA, "rsa"), jwk(P256, "p256")
    bad = [
        *(None, 7, {}, {"kty": "oct", "k": "AAAA"}, {"kty": "RSA"}),
        *(
            {**good, "n": 7},
            {**good, "n": "!"},
            {**good, "n": "AQAB"},
            {**good, "e": "AA"},
            {**good, "kid": 7},
            {**good, "kty": ["RSA"]},
        ),
        *(
            {**good, "use": "enc"},
            {**good, "key_ops": ["encrypt"]},
            {**good, "alg": "RSA-OAEP"},
            {**good, "alg": "HS256"},
        ),
        *({**curve, "crv": "secp256k1"}, {**curve, "crv": []}, {**curve, "x": "AAAA"}, {**curve, "y": curve["x"]}),
    ]
    assert [key.id for key in read_keys({"keys": [*bad, good, curve]})] == ["rsa", "p256"]


def test_what_is_no_key_set_is_a_failure_and_no_empty_set() -> None:
    documents: tuple[dict[str, Any], ...] = ({}, {"keys": None}, {"keys": {}})
    for document in documents:
        with pytest.raises(FetchFailed):
            read_keys(document)
    assert read_keys({"keys": []}) == ()


def test_a_key_is_tried_with_its_own_algorithms_only() -> None:
    keys = read_keys({"keys": [jwk(RSA, "rsa", alg="RS256"), jwk(P256, "p256")]})
    assert [len(fitting(keys, "rsa", algorithm)) for algorithm in ("RS256", "RS512", "ES256")] == [1, 0, 0]
    assert [len(fitting(keys, None, algorithm)) for algorithm in ("RS256", "RS512", "ES256")] == [1, 0, 1]


def test_an_https_issuer_cannot_send_us_to_plain_http_or_to_this_machine() -> None:
    issuer = "https://iam.example.org/"
    for url in (
        "http://iam.example.org/jwks",
        "http://127.0.0.1/jwks",
        "https://localhost/jwks",
        "file:///etc/passwd",
        "https://[",
        "https://x:port/",
        None,
        7,
    ):
        with pytest.raises(FetchFailed):
            key_set_url(issuer, {"issuer": issuer, "jwks_uri": url})


def test_a_redirect_stays_with_scheme_host_and_port() -> None:
    here = "https://iam.example.org/jwks"
    assert redirected(here, "/other") == redirected(here, "https://iam.example.org:443/other").replace(":443", "")
    for location in (
        "",
        "http://iam.example.org/jwks",
        "https://iam.example.org:8443/jwks",
        "//evil.example/jwks",
        "https://[",
        "file:///x",
    ):
        with pytest.raises(FetchFailed):
            redirected(here, location)


def test_metadata_are_looked_for_in_both_forms() -> None:
    assert metadata_urls("https://iam.example.org/") == (
        "https://iam.example.org/.well-known/openid-configuration",
        "https://iam.example.org/.well-known/oauth-authorization-server",
    )
    assert metadata_urls("https://kc.example.org/realms/site") == (
        "https://kc.example.org/realms/site/.well-known/openid-configuration",
        "https://kc.example.org/.well-known/oauth-authorization-server/realms/site",
        "https://kc.example.org/.well-known/openid-configuration/realms/site",
    )
