"""API v1 for people with an access token: only tokens of our providers, meant for us; keys only for administrators."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import pytest

from alise.login.provider import Provider
from alise.storage.administration import Administration, NewLink
from alise.storage.browser import Identity
from teapot.demo.certificates import ServerFiles
from tests.alise.providers.made_provider import MadeProvider, made_provider
from tests.alise.providers.oidc_provider import free_port
from tests.alise.running import Alise, Answer, Client, alise

GROUP = "urn:example:alise-admins"


class Desk(NamedTuple):
    alise: Alise
    client: Client
    site: MadeProvider
    ext: MadeProvider

    def token(self, of: MadeProvider, subject: str = "ada", **claims: Any) -> str:
        now = int(time.time())
        right = {"iss": of.issuer, "sub": subject, "aud": self.alise.url, "iat": now, "exp": now + 300}
        kept = {name: value for name, value in (right | claims).items() if value is not None}
        return jwt.encode(kept, of.key, "RS256", headers={"kid": "made", "typ": "at+jwt"})

    async def make_key(self, token: str, site: str = "site") -> Answer:
        return await self.client.get(f"/api/v1/target/{site}/get_apikey", token)

    async def my_mappings(self, token: str) -> Answer:
        return await self.client.get("/api/v1/site/all_my_mappings_raw", token)


@pytest.fixture
async def desk(tmp_path: Path, server_files: ServerFiles, ca: Path) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        site, ext = [await stack.enter_async_context(made_provider()) for _ in range(2)]
        described = [Provider("site", site.issuer, "alise", "s", internal=True), Provider("ext", ext.issuer, "alise", "s")]
        administrators = {"ext": ("entitlements", (GROUP,))}
        running = await stack.enter_async_context(
            alise(tmp_path, free_port(), described, server_files, ca, administrators=administrators)
        )
        client = Client(running)
        stack.push_async_callback(client.http.close)
        yield Desk(running, client, site, ext)


@pytest.mark.parametrize("entitlements", [GROUP, [GROUP], ["other", GROUP, 7]])
async def test_an_administrator_gets_a_key_that_counts(desk: Desk, entitlements: object) -> None:
    made = await desk.make_key(desk.token(desk.ext, entitlements=entitlements))
    assert made.status == 200 and set(made.json) == {"apikey"}
    valid = await desk.client.get(f"/api/v1/target/site/validate_apikey/{made.json['apikey']}")
    assert valid.json == {"apikey": True}


@pytest.mark.parametrize("entitlements", [None, "", [], "urn:example:alise-admins2", [[GROUP]], {GROUP: 1}, 7])
async def test_nobody_else_gets_one(desk: Desk, entitlements: object) -> None:
    refused = await desk.make_key(desk.token(desk.ext, entitlements=entitlements))
    assert (refused.status, refused.json) == (401, {"detail": "Not authorised"})
    assert (await desk.make_key(desk.token(desk.site, entitlements=GROUP))).status == 401, "a provider without administrators"


@pytest.mark.parametrize(
    "claims",
    [{"aud": "https://other.example"}, {"aud": None}, {"exp": 1}, {"exp": None}, {"iss": "https://other.example"}, {"sub": None}],
    ids=["audience", "no audience", "expired", "no end", "issuer", "nobody"],
)
async def test_a_token_that_is_not_for_us_says_nothing(desk: Desk, claims: dict[str, Any]) -> None:
    token = desk.token(desk.ext, **({"entitlements": GROUP} | claims))
    for path in ("/api/v1/target/site/get_apikey", "/api/v1/authenticated", "/api/v1/site/all_my_mappings_raw"):
        assert (await desk.client.get(path, token)).status == 401, path


@pytest.mark.parametrize("said", [{"nonce": "n"}, {"at_hash": "h"}, {"typ": "ID"}, {"nonce": "n", "typ": "ID"}])
async def test_an_id_token_is_no_access_token(desk: Desk, said: dict[str, str]) -> None:
    """It goes through browsers, and is kept with sessions."""
    assert (await desk.make_key(desk.token(desk.ext, entitlements=GROUP, aud="alise", **said))).status == 401


async def test_an_access_token_of_keycloak_may_have_a_nonce(desk: Desk) -> None:
    assert (await desk.make_key(desk.token(desk.ext, entitlements=GROUP, nonce="n", typ="Bearer"))).status == 200


async def test_an_administrator_whom_a_site_vouches_for_gets_keys_of_no_other(tmp_path: Path, server_files: ServerFiles, ca: Path) -> None:
    async with AsyncExitStack() as stack:
        site, lab = [await stack.enter_async_context(made_provider()) for _ in range(2)]
        described = [Provider("site", site.issuer, "alise", "s", internal=True), Provider("lab", lab.issuer, "alise", "s", internal=True)]
        administrators = {"lab": ("entitlements", (GROUP,))}
        running = await stack.enter_async_context(
            alise(tmp_path, free_port(), described, server_files, ca, administrators=administrators)
        )
        client = Client(running)
        stack.push_async_callback(client.http.close)
        desk = Desk(running, client, site, lab)
        token = desk.token(lab, entitlements=GROUP)
        assert [(await desk.make_key(token, name)).status for name in ("lab", "site")] == [200, 401]


async def test_a_token_with_very_many_entitlements_is_read(desk: Desk) -> None:
    many = [GROUP, *(f"urn:example:another-group-{number}" for number in range(500))]
    assert (await desk.make_key(desk.token(desk.ext, entitlements=many))).status == 200


async def test_a_token_signed_by_somebody_else_says_nothing(desk: Desk) -> None:
    forged = desk.token(desk.site, iss=desk.ext.issuer, entitlements=GROUP)
    assert (await desk.make_key(forged)).status == 401


async def test_without_a_token_the_answers_are_those_that_clients_know(desk: Desk) -> None:
    missing = await desk.client.get("/api/v1/target/site/get_apikey")
    assert (missing.status, missing.json["error_description"]) == (401, "No authorization header")
    nobody = await desk.client.get("/api/v1/authenticated")
    assert (nobody.status, nobody.json) == (403, {"detail": "Not authenticated"})
    somebody = await desk.client.get("/api/v1/authenticated", desk.token(desk.ext))
    assert (somebody.status, somebody.json) == (200, "This worked: there was a valid login")


async def test_a_key_is_for_a_site_that_is_one(desk: Desk) -> None:
    token = desk.token(desk.ext, entitlements=GROUP)
    for site in ("ext", "nowhere"):
        assert (await desk.make_key(token, site)).status == 404


async def test_an_administrator_cannot_fill_the_table(desk: Desk) -> None:
    token = desk.token(desk.ext, entitlements=GROUP)
    statuses = [(await desk.make_key(token)).status for _ in range(22)]
    assert statuses == [200] * 20 + [409] * 2


async def test_people_see_their_own_mapping_from_either_side_and_nobody_elses(desk: Desk) -> None:
    accounts = desk.alise.service.accounts
    await accounts.log_in("site", Identity("site", desk.site.issuer, "uid-of-alice", 1.0), "alice")
    await Administration(desk.alise.running.keeping, "t").add(NewLink("site", "alice", desk.ext.issuer, "ada"), desk.site.issuer)
    for token in (desk.token(desk.ext, "ada"), desk.token(desk.site, "uid-of-alice")):
        mine = await desk.my_mappings(token)
        assert (mine.status, mine.json["internal"]["username"], mine.json["external"][0]["sub"]) == (200, "alice", "ada")
    for token in (desk.token(desk.ext, "mallory"), desk.token(desk.site, "ada"), desk.token(desk.ext, "uid-of-alice")):
        assert (await desk.my_mappings(token)).status == 401


async def test_a_provider_that_is_down_is_503(desk: Desk) -> None:
    desk.ext.answers["/.well-known/openid-configuration"] = lambda _: 1 / 0
    assert (await desk.make_key(desk.token(desk.ext))).status == 503
