"""From identities to accounts: the table, the claim, the storage areas, the site's policy."""

import os
import pwd
import time
from pathlib import Path
from typing import Any

import pytest

from common.token_verification import VerifiedClaims
from teapot.authority.admission import Asking, Site, decide
from teapot.authority.audiences import audiences
from teapot.authority.authenticate import Identity
from teapot.authority.capabilities import wlcg
from teapot.authority.mapping_file import BadMapping, parse
from teapot.authority.memberships import NONE
from teapot.channel.authority_messages import Capability
from teapot.configuration import Accounts, Issuer, Mapping, MappingClaim, Server, StorageArea
from tests.authority.conftest import HOME, Start
from tests.authority.issuer import TestIssuer
from tests.authority.process import Authority, Gateway, Spawner, mapped

WLCG: dict[str, Any] = {"wlcg.ver": "1.0"}
ONE, TWO = "https://one.example.org/", "https://two.example.org/"


# --- the table of identities


def test_a_line_names_account_subject_and_issuer() -> None:
    text = f"""
# a comment
alice  4711 {ONE}
bob "has blanks" {TWO}
carol urn:x#y@{ONE} {TWO}
"""
    assert parse(text, (ONE, TWO)) == {
        (ONE, "4711"): "alice",
        (TWO, "has blanks"): "bob",
        (TWO, f"urn:x#y@{ONE}"): "carol",
    }


def test_the_issuer_may_be_left_out_while_there_is_one() -> None:
    assert parse("alice 4711", (ONE,)) == {(ONE, "4711"): "alice"}
    with pytest.raises(BadMapping, match="line 1: more than one issuer"):
        parse("alice 4711", (ONE, TWO))


@pytest.mark.parametrize(
    "line",
    ["alice", "alice 1 2 3", 'alice "open', "../root 4711", "alice 4711 # why", "alice ''", "alice 4711 nonsense"],
)
def test_a_line_of_another_form_is_refused_with_its_number(line: str) -> None:
    with pytest.raises(BadMapping, match="line 2: "):
        parse(f"bob 1 {ONE}\n{line}\n", (ONE,))


def test_one_identity_has_one_account() -> None:
    assert len(parse(f"alice 1\nalice 1 {ONE}\nalice 2", (ONE,))) == 2
    with pytest.raises(BadMapping, match="line 2: this identity has another account"):
        parse(f"alice 1\nbob 1 {ONE}", (ONE,))


def test_a_mapped_caller_has_their_account_and_the_spawner_knew_before(
    gateway: Gateway, spawner: Spawner, issuer: TestIssuer, account: str
) -> None:
    before = time.monotonic()
    caller = gateway.caller(issuer.token(**WLCG))
    rows = spawner.heard()
    assert caller.accounts == {"home": account} and caller.refusals == {}
    assert [(row.kind, row.number, row.name) for row in rows] == [(1, 1, account)]
    assert before + 55 < caller.cache_until <= time.monotonic() + 60
    assert caller.cache_until + 59 < rows[0].until <= time.monotonic() + 120


def test_nothing_is_allowed_beyond_the_token_s_end(gateway: Gateway, spawner: Spawner, issuer: TestIssuer) -> None:
    ends = time.monotonic() + 5
    caller = gateway.caller(issuer.token(**WLCG, exp=int(time.time()) + 5))
    assert caller.cache_until <= ends
    assert spawner.heard()[0].until <= ends + 1


def test_a_warm_answer_makes_a_row_for_every_gateway_that_asks(
    authority: Authority, gateway: Gateway, spawner: Spawner, issuer: TestIssuer, account: str
) -> None:
    token, second = issuer.token(**WLCG), authority.gateway(2)
    assert gateway.caller(token) == second.caller(token)
    assert [(row.number, row.name) for row in spawner.heard()] == [(1, account), (2, account)]


def test_the_same_subject_of_another_issuer_is_somebody_else(
    begin: Start, users_map: Path, issuer: TestIssuer, account: str
) -> None:
    with TestIssuer() as second:
        users_map.write_text(f"{account} alice-at-home {issuer.url}\n")
        issuers = (Issuer(url=issuer.url), Issuer(url=second.url))
        authority = begin(issuers=issuers, mapping=mapped(users_map), areas=(HOME,))
        authority.spawner()
        gateway = authority.gateway()
        assert gateway.caller(issuer.token()).accounts == {"home": account}
        assert gateway.caller(second.token()).refusals == {"home": "not_mapped"}


def test_somebody_who_is_not_in_the_table_is_not_mapped_and_no_row_is_made(
    gateway: Gateway, spawner: Spawner, issuer: TestIssuer
) -> None:
    caller = gateway.caller(issuer.token(**WLCG, sub="mallory"))
    assert (caller.accounts, caller.refusals) == ({}, {"home": "not_mapped"})
    assert spawner.heard() == []


def test_a_new_line_counts_at_once(gateway: Gateway, issuer: TestIssuer, users_map: Path, account: str) -> None:
    assert gateway.caller(issuer.token(**WLCG, sub="bob")).refusals == {"home": "not_mapped"}
    users_map.write_text(f"{account} alice-at-home\n{account} bob\n")
    assert gateway.caller(issuer.token(**WLCG, sub="bob", n=2)).accounts == {"home": account}


def test_a_table_that_cannot_be_read_is_503_and_nobody_is_not_mapped(
    gateway: Gateway, authority: Authority, issuer: TestIssuer, users_map: Path, account: str
) -> None:
    users_map.rename(users_map.with_suffix(".away"))
    for subject in ("alice-at-home", "mallory"):
        assert gateway.caller(issuer.token(**WLCG, sub=subject)).refusals == {"home": "mapping_unavailable"}
    users_map.with_suffix(".away").rename(users_map)
    assert gateway.caller(issuer.token(**WLCG)).accounts == {"home": account}


def test_a_table_that_everybody_can_change_is_503(
    gateway: Gateway, authority: Authority, issuer: TestIssuer, users_map: Path, account: str
) -> None:
    users_map.chmod(0o646)
    assert gateway.caller(issuer.token(**WLCG)).refusals == {"home": "mapping_unavailable"}
    assert "everybody can write to it" in authority.log
    users_map.chmod(0o644)
    assert gateway.caller(issuer.token(**WLCG, n=2)).accounts == {"home": account}


def test_a_malformed_table_is_said_with_its_line_and_503(
    gateway: Gateway, authority: Authority, issuer: TestIssuer, users_map: Path, account: str
) -> None:
    users_map.write_text(f"{account} alice-at-home\n{account}\n")
    assert gateway.caller(issuer.token(**WLCG)).refusals == {"home": "mapping_unavailable"}
    assert "line 2: must be: account subject [issuer]" in authority.log


# --- the claim


def test_a_claim_names_the_account_only_from_issuers_that_may_say_so(
    begin: Start, issuer: TestIssuer, account: str
) -> None:
    with TestIssuer() as second:
        mapping = Mapping(methods=("claim",), claim=(MappingClaim(claim="preferred_username", issuers=(issuer.url,)),))
        issuers = (Issuer(url=issuer.url), Issuer(url=second.url))
        authority = begin(issuers=issuers, mapping=mapping, areas=(HOME,))
        authority.spawner()
        gateway = authority.gateway()
        assert gateway.caller(issuer.token(preferred_username=account)).accounts == {"home": account}
        assert gateway.caller(second.token(preferred_username=account)).refusals == {"home": "not_mapped"}
        for value in (None, 7, [account], "", "../root", "a b", f"{account}\n", "-x", "x" * 200):
            assert gateway.caller(issuer.token(preferred_username=value)).refusals == {"home": "not_mapped"}, value


# --- the site's policy


def test_an_account_against_the_policy_is_not_served(
    begin: Start, issuer: TestIssuer, users_map: Path, account: str
) -> None:
    uid = pwd.getpwnam(account).pw_uid
    for policy in (
        Accounts(),
        Accounts(minimum_uid=uid + 1),
        Accounts(minimum_uid=1, nologin="allow", denied=(account,)),
    ):
        authority = begin(issuers=(Issuer(url=issuer.url),), mapping=mapped(users_map), areas=(HOME,), accounts=policy)
        spawner = authority.spawner()
        assert authority.gateway().caller(issuer.token()).refusals == {"home": "account_not_served"}
        assert spawner.heard() == []


def test_an_account_that_does_not_exist_and_root_are_not_served(
    gateway: Gateway, issuer: TestIssuer, users_map: Path
) -> None:
    users_map.write_text("no-such-account alice-at-home\nroot bob\n")
    for subject in ("alice-at-home", "bob"):
        assert gateway.caller(issuer.token(**WLCG, sub=subject)).refusals == {"home": "account_not_served"}


def test_in_single_account_mode_only_that_account_is_served(begin: Start, issuer: TestIssuer, users_map: Path) -> None:
    me = pwd.getpwuid(os.getuid()).pw_name
    users_map.write_text(f"{me} alice-at-home\nbin bob\n")
    authority = begin(issuers=(Issuer(url=issuer.url),), mapping=mapped(users_map), areas=(HOME,), single_account=me)
    authority.spawner()
    gateway = authority.gateway()
    assert gateway.caller(issuer.token()).accounts == {"home": me}
    assert gateway.caller(issuer.token(sub="bob")).refusals == {"home": "account_not_served"}


# --- storage areas


def identity(*capabilities: Capability, any_capability: bool = False) -> Identity:
    claims = VerifiedClaims(ONE, "alice", time.time() + 60, {})
    return Identity(claims, Issuer(url=ONE, profile="wlcg"), capabilities, bool(capabilities) or any_capability)


READ = Capability("read", (), True)
VO = StorageArea(name="vo", path="/vo", root="/vo", account="vo_x")
FOREIGN = StorageArea(name="foreign", path="/f", root="/f", issuers=(TWO,))


def test_a_fixed_account_is_for_the_mapped_and_for_tokens_with_a_storage_capability() -> None:
    site = Site((HOME, VO))
    assert decide(site, Asking(identity(), NONE, "alice")).accounts == {"home": "alice", "vo": "vo_x"}
    assert decide(site, Asking(identity(READ), NONE, "", "not_mapped")) == ({"vo": "vo_x"}, {"home": "not_mapped"})
    assert decide(site, Asking(identity(), NONE, "", "not_mapped")).refusals == {"home": "not_mapped", "vo": "not_mapped"}
    assert decide(site, Asking(identity(any_capability=True), NONE, "", "not_mapped")).accounts == {}, "compute.* opens no storage"
    assert decide(site, Asking(identity(READ), NONE, "", "mapping_unavailable")).refusals == {"home": "mapping_unavailable"}


def test_an_area_that_names_issuers_is_closed_to_others() -> None:
    assert decide(Site((FOREIGN,)), Asking(identity(READ), NONE, "alice")) == ({}, {"foreign": "area_issuer"})


def test_without_a_token_there_are_only_anonymous_accounts(begin: Start, account: str) -> None:
    public = StorageArea(name="public", path="/public", root="/srv", anonymous_account=account)
    authority = begin(areas=(HOME, public))
    spawner = authority.spawner()
    caller = authority.gateway().caller("")
    assert (caller.profile, caller.accounts, caller.refusals) == (
        "anonymous",
        {"public": account},
        {"home": "token_missing"},
    )
    assert [(row.kind, row.name) for row in spawner.heard()] == [(1, account)]


# --- what a token says


def test_scopes_become_capabilities_of_decoded_segments() -> None:
    scope = "openid storage.read:/ storage.modify:/a%20b/%C3%A9/ storage.create:/x compute.cancel storage.write:/y"
    granted = wlcg({"wlcg.ver": "1.7", "scope": scope})
    assert granted.capabilities == (
        Capability("read", (), True),
        Capability("modify", (b"a b", "\u00e9".encode()), True),
        Capability("create", (b"x",), False),
    )
    assert granted.any


def test_any_capability_counts_even_one_that_means_nothing_here() -> None:
    for scope in ("compute.read", "storage.write:/x", "storage.readx:/"):
        assert wlcg({"wlcg.ver": "1.0", "scope": scope}) == ((), True)
    for scope in ("", "openid profile", "wlcg.groups", "my.storage.read:/"):
        assert wlcg({"wlcg.ver": "1.0", "scope": scope}) == ((), False)


def test_the_profile_identity_has_no_capabilities(begin: Start, issuer: TestIssuer, users_map: Path) -> None:
    authority = begin(issuers=(Issuer(url=issuer.url, profile="identity"),), mapping=mapped(users_map), areas=(HOME,))
    authority.spawner()
    caller = authority.gateway().caller(issuer.token(scope="storage.read:/ storage.nonsense"))
    assert (caller.profile, caller.capabilities, caller.has_capabilities) == ("identity", (), False)


def test_auto_audiences_are_the_service_s_names_with_and_without_the_port() -> None:
    server = Server(public_url="https://teapot.example.org:8443", aliases=("lb.example.org", "other.example.org:443"))
    found = audiences(server, Issuer(url=ONE))
    for name in ("teapot.example.org", "lb.example.org"):
        assert {name, f"{name}:8443", f"https://{name}", f"https://{name}:8443", f"https://{name}:8443/"} <= found
    assert {"https://other.example.org:443", "https://other.example.org"} <= found
    assert "https://wlcg.cern.ch/jwt/v1/any" not in found
    assert {"https://t.example.org", "https://t.example.org:443"} <= audiences(
        Server(public_url="https://t.example.org"), Issuer(url=ONE)
    )
    assert {"[2001:db8::1]:8443", "https://[2001:db8::1]:8443"} <= audiences(
        Server(public_url="https://[2001:db8::1]:8443"), Issuer(url=ONE)
    )


def test_a_list_of_audiences_is_taken_as_it_is(begin: Start, issuer: TestIssuer, users_map: Path) -> None:
    anybody = "https://wlcg.cern.ch/jwt/v1/any"
    issuers = (Issuer(url=issuer.url, audiences=(anybody,), audience_required=False),)
    authority = begin(issuers=issuers, mapping=mapped(users_map), areas=(HOME,))
    authority.spawner()
    gateway = authority.gateway()
    for audience in (anybody, ["x", anybody], None):
        assert gateway.caller(issuer.token(aud=audience)).subject == "alice-at-home"
    assert gateway.problem(issuer.token()) == "token_audience"
