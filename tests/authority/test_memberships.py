"""Groups and entitlements: what is understood, and what of it fulfils what."""

import pytest

from teapot.authority.memberships import fulfils, holds, said
from teapot.configuration import Membership
from teapot.entitlements import entitlement

VO = "urn:mace:egi.eu:group:vo.example.eu"


def wanted(**what: str) -> Membership:
    return Membership(issuers=("https://iam.example.org/",), **what)


@pytest.mark.parametrize(
    ("held", "required", "enough"),
    [
        (f"{VO}:role=member#aai.egi.eu", f"{VO}:role=member#aai.egi.eu", True),
        (f"{VO}:role=member#aai.egi.eu", f"{VO}:role=member", True),
        (f"{VO}:role=member#aai.egi.eu", f"{VO}:role=member#another.authority", True),
        (f"{VO}:role=member", VO, True),
        (f"{VO}:prod:role=member", VO, True),
        (VO, f"{VO}:role=member", False),
        (f"{VO}:prod:role=member", f"{VO}:role=member", False),
        (f"{VO}:role=manager", f"{VO}:role=member", False),
        (VO, f"{VO}:prod", False),
        ("urn:mace:egi.eu:group:vo.example.eu2", VO, False),
        ("urn:mace:egi.eu:group:vo.example", VO, False),
        ("urn:mace:other.eu:group:vo.example.eu", VO, False),
        ("urn:geant:x:group:a%20b", "urn:geant:x:group:a%20b", True),
        ("URN:mace:egi.eu:group:vo.example.eu", VO, True),
    ],
)
def test_who_has_more_has_what_is_above_it_and_roles_are_exact(held: str, required: str, enough: bool) -> None:
    assert fulfils(said({"eduperson_entitlement": [held]}), wanted(entitlement=required)) is enough


MALFORMED = ["", "urn:mace:egi.eu:res:x", "vo", "urn:x:group:", "urn:x:group:a:", "urn:x:group::a", "urn:x:group:role="]
MALFORMED += ["urn:x:group:a:role=b:c", "urn:x:group:a b", "urn:x:group:" + "a" * 600]


@pytest.mark.parametrize("text", MALFORMED)
def test_what_has_another_form_is_nothing(text: str) -> None:
    assert entitlement(text) is None


@pytest.mark.parametrize(("held", "required", "enough"), [("/vo", "/vo", True), ("/vo/prod", "/vo", False), ("/vo2", "/vo", False)])
def test_a_group_is_that_very_group(held: str, required: str, enough: bool) -> None:
    assert fulfils(said({"wlcg.groups": [held]}), wanted(group=required)) is enough


def test_either_name_of_a_claim_and_either_form_is_read() -> None:
    for claims in ({"groups": "vo"}, {"groups": ["vo"]}, {"wlcg.groups": ["x", "vo"]}):
        assert fulfils(said(claims), wanted(group="vo"))
    assert fulfils(said({"entitlements": VO}), wanted(entitlement=VO))


@pytest.mark.parametrize("odd", [None, 7, {"vo": 1}, [["vo"]], [7, None], True])
def test_a_claim_of_another_form_says_nothing(odd: object) -> None:
    assert said({"groups": odd, "wlcg.groups": odd, "entitlements": odd, "eduperson_entitlement": odd}) == said({})


def test_it_counts_only_from_the_issuers_that_are_named() -> None:
    held = said({"groups": ["vo"]})
    assert holds(held, "https://iam.example.org/", [wanted(group="vo")])
    assert not holds(held, "https://other.example.org/", [wanted(group="vo")])
