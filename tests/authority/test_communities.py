"""Communities by what their issuers say: accounts of a VO, members only, SciTokens, UserInfo, introspection, rules and bans."""

import asyncio
import base64
import time
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from teapot.channel.authority_messages import Caller, Capability
from teapot.configuration import Ban, Issuer, Mapping, MappingVo, Membership, Principal, Rule, StorageArea
from tests.authority.conftest import HOME, Start
from tests.authority.issuer import OPENID, TestIssuer
from tests.authority.process import Gateway, mapped

GROUP = "/vo.example"
VO = "urn:mace:egi.eu:group:vo.example.eu"


@pytest.fixture
def asked(begin: Start, issuer: TestIssuer, account: str) -> Any:
    """A gateway of an authority with this issuer and these areas; `more` of its settings."""

    def start(area: StorageArea, of_issuer: dict[str, Any] | None = None, **more: Any) -> Gateway:
        described = Issuer(url=issuer.url, **(of_issuer or {}))
        authority = begin(**{"issuers": (described,), "mapping": Mapping(), "areas": (area,), **more})
        authority.spawner()
        return authority.gateway()

    return start


def by_vo(issuer: str, account: str, **which: str) -> Mapping:
    return Mapping(vo=(MappingVo(issuers=(issuer,), account=account, **which),))


def outcome(caller: Caller) -> str:
    """Of the one area: its account, or the problem."""
    (told,) = (*caller.accounts.values(), *caller.refusals.values())
    return told


# --- accounts of communities


@pytest.mark.parametrize("which", [{"group": GROUP}, {"entitlement": f"{VO}:role=member"}])
def test_a_member_has_the_account_of_the_community(asked: Any, issuer: TestIssuer, account: str, which: dict[str, str]) -> None:
    gateway = asked(StorageArea(name="vo", path="/vo", root="/v", account="vo"), mapping=by_vo(issuer.url, account, **which))
    member = issuer.token(**{"wlcg.groups": [GROUP], "eduperson_entitlement": [f"{VO}:role=member#aai.egi.eu"]})
    assert outcome(gateway.caller(member)) == account
    assert outcome(gateway.caller(issuer.token(**{"wlcg.groups": [f"{GROUP}/sub"]}))) == "not_member"


def test_it_is_a_method_of_mapping_as_well(asked: Any, issuer: TestIssuer, account: str) -> None:
    gateway = asked(HOME, mapping=by_vo(issuer.url, account, group=GROUP))
    assert outcome(gateway.caller(issuer.token(groups=[GROUP]))) == account
    assert outcome(gateway.caller(issuer.token())) == "not_mapped"


def test_the_same_entitlement_of_a_second_issuer_is_nobodys(begin: Start, issuer: TestIssuer, account: str) -> None:
    with TestIssuer() as second:
        area = StorageArea(name="vo", path="/vo", root="/v", account="vo")
        both = tuple(Issuer(url=one.url) for one in (issuer, second))
        authority = begin(issuers=both, mapping=by_vo(issuer.url, account, entitlement=VO), areas=(area,))
        authority.spawner()
        gateway = authority.gateway()
        assert outcome(gateway.caller(issuer.token(entitlements=[VO]))) == account
        assert outcome(gateway.caller(second.token(entitlements=[VO]))) == "not_member"


def test_an_area_for_members_keeps_others_out_though_they_are_mapped(asked: Any, issuer: TestIssuer, account: str, users_map: Any) -> None:
    area = StorageArea(name="vo", path="/vo", root="/v", members=(Membership(group=GROUP, issuers=(issuer.url,)),))
    gateway = asked(area, mapping=mapped(users_map))
    assert outcome(gateway.caller(issuer.token(**{"wlcg.groups": [GROUP]}))) == account
    assert outcome(gateway.caller(issuer.token())) == "not_member"


def test_members_enter_an_area_with_a_fixed_account_without_a_mapping(asked: Any, issuer: TestIssuer, account: str) -> None:
    members = (Membership(group=GROUP, issuers=(issuer.url,)),)
    gateway = asked(StorageArea(name="vo", path="/vo", root="/v", account=account, members=members))
    assert outcome(gateway.caller(issuer.token(**{"wlcg.groups": [GROUP]}))) == account
    assert outcome(gateway.caller(issuer.token())) == "not_member"


def test_groups_of_a_token_with_a_capability_count_for_nothing(asked: Any, issuer: TestIssuer, account: str) -> None:
    area = StorageArea(name="vo", path="/vo", root="/v", account="vo")
    gateway = asked(area, {"profile": "wlcg"}, mapping=by_vo(issuer.url, account, group=GROUP))
    claims = {"wlcg.ver": "1.0", "wlcg.groups": [GROUP]}
    assert outcome(gateway.caller(issuer.token(**claims))) == account
    assert outcome(gateway.caller(issuer.token(scope="compute.read", **claims))) == "not_member"


def test_an_area_for_scopes_needs_no_mapping_and_takes_nobody_without(asked: Any, issuer: TestIssuer, account: str, users_map: Any) -> None:
    area = StorageArea(name="coll", path="/coll-a", root="/c", account=account, capability_required=True)
    gateway = asked(area, {"profile": "wlcg"}, mapping=mapped(users_map))
    scoped = issuer.token(sub="nobody-here", scope="storage.read:/coll-a", **{"wlcg.ver": "1.0"})
    assert outcome(gateway.caller(scoped)) == account
    assert outcome(gateway.caller(issuer.token(**{"wlcg.ver": "1.0"}))) == "capability_required"


# --- SciTokens


@pytest.mark.parametrize(
    ("claims", "capabilities"),
    [
        ({"scope": "read:/a write:/b/c"}, (("read", (b"a",), False), ("modify", (b"b", b"c"), False))),
        ({"scope": "read"}, (("read", (), True),)),
        ({"scope": "read:/ queue execute:/x", "ver": "scitoken:2.0", "nbf": 1}, (("read", (), True),)),
        ({"scope": "read:/a/", "ver": "scitokens:1.0"}, (("read", (b"a",), True),)),
        ({"scope": "readonly:/a storage.read:/a"}, ()),
        ({}, ()),
    ],
)
def test_scitokens_say_what_may_be_done(asked: Any, issuer: TestIssuer, claims: dict[str, Any], capabilities: Any) -> None:
    caller = asked(HOME, {"profile": "scitokens"}).caller(issuer.token(**{"nbf": None, **claims}))
    assert caller.capabilities == tuple(Capability(*one) for one in capabilities)
    assert caller.has_capabilities and caller.profile == "scitokens"


@pytest.mark.parametrize(
    "claims",
    [
        {"ver": "scitoken:3.0", "scope": "read:/"},
        {"ver": 2, "scope": "read:/"},
        {"ver": "scitoken:2.0", "scope": "read:/", "nbf": None},
        {"scope": "read:"},
        {"scope": "read:a"},
        {"scope": "read:/a/../b"},
        {"scope": "write:/a%2Fb"},
        {"scope": "write:/%2e%2e/b"},
        {"scope": "write:/a//b"},
        {"scope": ["read:/"]},
    ],
)
def test_a_scitoken_that_can_be_read_in_two_ways_is_refused(asked: Any, issuer: TestIssuer, claims: dict[str, Any]) -> None:
    assert asked(HOME, {"profile": "scitokens"}).problem(issuer.token(**claims)) == "token_claims"


def test_a_scitoken_needs_the_audience_even_if_others_do_not(asked: Any, issuer: TestIssuer) -> None:
    gateway = asked(HOME, {"profile": "scitokens", "audience_required": False})
    assert gateway.problem(issuer.token(ver="scitoken:2.0", nbf=1, aud=None, scope="read:/")) == "token_claims"
    assert gateway.caller(issuer.token(aud=None, scope="read:/")).capabilities


# --- what the issuer is asked


def userinfo(issuer: TestIssuer, answer: Any) -> None:
    endpoints = {"userinfo_endpoint": f"{issuer.origin}/userinfo", "introspection_endpoint": f"{issuer.origin}/introspect"}
    metadata = {**issuer.metadata(), **endpoints}

    async def described(request: web.BaseRequest) -> web.Response:
        return web.json_response(metadata)

    issuer.answers[issuer.path.rstrip("/") + OPENID] = described
    issuer.answers["/userinfo"] = issuer.answers["/introspect"] = answer


def says(**document: Any) -> Any:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.json_response(document)

    return answer


def status(number: int) -> Any:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(status=number)

    return answer


async def never(request: web.BaseRequest) -> web.Response:
    await asyncio.sleep(60)
    raise AssertionError


@pytest.fixture
def by_userinfo(asked: Any, issuer: TestIssuer, account: str) -> Gateway:
    area = StorageArea(name="vo", path="/vo", root="/v", account="vo")
    return asked(area, {"entitlements_from": "userinfo"}, mapping=by_vo(issuer.url, account, entitlement=VO))


def test_userinfo_says_who_is_a_member_and_is_asked_once(by_userinfo: Gateway, issuer: TestIssuer, account: str) -> None:
    seen = []

    async def answer(request: web.BaseRequest) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.json_response({"sub": "alice-at-home", "eduperson_entitlement": [f"{VO}:role=member#aai.egi.eu"]})

    userinfo(issuer, answer)
    token = issuer.token()
    assert outcome(by_userinfo.caller(token)) == account
    by_userinfo.caller(token)
    assert seen == [f"Bearer {token}"]
    userinfo(issuer, says(sub="alice-at-home"))
    assert outcome(by_userinfo.caller(issuer.token(jti="another"))) == "not_member"


@pytest.mark.parametrize("number", [401, 403, 404])
def test_a_service_without_userinfo_is_no_member(by_userinfo: Gateway, issuer: TestIssuer, number: int) -> None:
    userinfo(issuer, status(number))
    assert outcome(by_userinfo.caller(issuer.token())) == "not_member"


@pytest.mark.parametrize(
    "answer",
    [status(500), says(sub="mallory", eduperson_entitlement=[VO]), says(eduperson_entitlement=[VO]), never],
    ids=["down", "of another subject", "of nobody", "silent"],
)
def test_userinfo_that_is_of_no_use_makes_nobody_a_member_and_nobody_none(by_userinfo: Gateway, issuer: TestIssuer, answer: Any) -> None:
    userinfo(issuer, answer)
    began = time.monotonic()
    assert outcome(by_userinfo.caller(issuer.token())) == "memberships_unavailable"
    assert time.monotonic() - began < 8


def test_nobody_waits_again_and_again_for_an_issuer_that_does_not_answer(by_userinfo: Gateway, issuer: TestIssuer) -> None:
    userinfo(issuer, status(500))
    for number in range(20):
        by_userinfo.caller(issuer.token(jti=str(number)))
    assert issuer.asked["/userinfo"] <= 5


def test_who_is_mapped_is_served_though_userinfo_is_down(asked: Any, issuer: TestIssuer, account: str, users_map: Any) -> None:
    mapping = Mapping(methods=("file", "vo"), file=mapped(users_map).file, vo=by_vo(issuer.url, account, group=GROUP).vo)
    gateway = asked(HOME, {"entitlements_from": "userinfo"}, mapping=mapping)
    userinfo(issuer, status(500))
    assert outcome(gateway.caller(issuer.token())) == account
    assert outcome(gateway.caller(issuer.token(sub="somebody"))) == "memberships_unavailable"


def test_an_introspection_is_asked_for_with_our_own_secret(asked: Any, issuer: TestIssuer, account: str) -> None:
    asked_with = []

    async def answer(request: web.BaseRequest) -> web.Response:
        form = parse_qs((await request.read()).decode())
        asked_with.append((request.headers["Authorization"], form["token"][0]))
        return web.json_response({"active": True, "sub": "alice-at-home", "groups": [GROUP]})

    area = StorageArea(name="vo", path="/vo", root="/v", account="vo")
    more = {"entitlements_from": "introspection", "client_id": "teapot", "client_secret_file": "/nowhere"}
    gateway = asked(area, more, mapping=by_vo(issuer.url, account, group=GROUP), issuer_secrets={issuer.url: "se:cret"})
    userinfo(issuer, answer)
    token = issuer.token()
    assert outcome(gateway.caller(token)) == account
    assert asked_with == [("Basic " + base64.b64encode(b"teapot:se%3Acret").decode(), token)]
    userinfo(issuer, says(active=False))
    assert gateway.problem(issuer.token(jti="another")) == "token_revoked"
    userinfo(issuer, status(401))
    assert outcome(gateway.caller(issuer.token(jti="a third"))) == "memberships_unavailable"


# --- rules and bans


@pytest.mark.parametrize(
    ("principal", "alice", "bob", "nobody"),
    [
        ({"who": "anyone"}, True, True, True),
        ({"who": "anonymous"}, False, False, True),
        ({"who": "authenticated"}, True, True, False),
        ({"issuer": "ISSUER"}, True, True, False),
        ({"issuer": "ISSUER", "subject": "alice-at-home"}, True, False, False),
        ({"issuer": "https://other.example/", "subject": "alice-at-home"}, False, False, False),
        ({"issuer": "ISSUER", "group": GROUP}, True, False, False),
        ({"issuer": "ISSUER", "entitlement": VO}, True, False, False),
        ({"issuer": "ISSUER", "client_id": "rucio"}, False, True, False),
        ({"issuer": "ISSUER", "scope": "storage.poll:/x"}, False, True, False),
    ],
)
def test_a_rule_is_about_whom_it_names(
    asked: Any, issuer: TestIssuer, account: str, principal: dict[str, str], alice: bool, bob: bool, nobody: bool
) -> None:
    whom = Principal(**{key: issuer.url if value == "ISSUER" else value for key, value in principal.items()})  # type: ignore[arg-type]
    rules = (Rule(area="pub", effect="permit", actions=("read",), principals=(whom,)),)
    gateway = asked(StorageArea(name="pub", path="/pub", root="/p", anonymous_account=account), rules=rules)
    tokens = (
        issuer.token(groups=[GROUP], entitlements=[VO]),
        issuer.token(sub="bob", client_id="rucio", scope="openid storage.poll:/x"),
        "",
    )
    assert tuple(gateway.caller(token).rules == (0,) for token in tokens) == (alice, bob, nobody)


def test_a_rule_about_members_closes_its_area_while_it_is_unknown_who_they_are(asked: Any, issuer: TestIssuer, users_map: Any) -> None:
    denied = Principal(issuer=issuer.url, group="/banned")
    rules = (Rule(area="home", effect="deny", actions=("all",), principals=(denied,)),)
    gateway = asked(HOME, {"entitlements_from": "userinfo"}, mapping=mapped(users_map), rules=rules)
    userinfo(issuer, status(500))
    assert outcome(gateway.caller(issuer.token())) == "memberships_unavailable"


@pytest.mark.parametrize("subject", ["alice-at-home", "*"])
def test_who_is_banned_is_let_in_nowhere(asked: Any, issuer: TestIssuer, users_map: Any, subject: str) -> None:
    gateway = asked(HOME, mapping=mapped(users_map), bans=(Ban(issuer=issuer.url, subject=subject, reason="a leaked token"),))
    assert gateway.problem(issuer.token()) == "banned"
