"""Communities on one service, with real files: a VO's shared account, members only, scopes without people, rules, public reading, bans."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import StartTeapot
from tests.service.ledger import Ledger
from tests.service.site import ALICE, BOB, NOBODY, Site
from tests.service.teapot_process import Teapot
from tests.service.tokens import Tokens

ENTITLEMENT = "urn:example:group:vo:role=member"
GROUPS = {"wlcg.groups": ["/vo"], "entitlements": [f"{ENTITLEMENT}#iam.example"]}


@pytest.fixture(scope="module")
def storage(ledger: Ledger, site: Site) -> Path:
    folder = ledger.folder("communities")
    folder.chmod(0o755)
    for name in ("vo", "coll-a", "ruled"):
        (folder / name).mkdir()
        os.chown(folder / name, site.vo_demo.uid, site.vo_demo.gid)
    return folder


def rule(effect: str, actions: list[str], principal: dict[str, str], *paths: str) -> dict[str, Any]:
    return {"area": "ruled", "effect": effect, "actions": actions, "principals": [principal], **({"paths": list(paths)} if paths else {})}


@pytest.fixture(scope="module")
def teapot(start_teapot: StartTeapot, site: Site, storage: Path) -> Teapot:
    issuer, vo = site.issuer.url, site.vo_demo.name
    member = {"issuer": issuer, "group": "/vo"}
    return start_teapot(
        {
            "mapping": {"methods": ["file", "vo"], "vo": [{"entitlement": ENTITLEMENT, "issuers": [issuer], "account": vo}]},
            "storage_area": [
                {"name": "home", "path": "/home", "root": "{home}/data"},
                {"name": "vo", "path": "/vo", "root": storage / "vo", "account": "vo"},
                {"name": "coll", "path": "/coll-a", "root": storage / "coll-a", "account": vo, "capability_required": True},
                {
                    "name": "ruled",
                    "path": "/ruled",
                    "root": storage / "ruled",
                    "account": vo,
                    "members": [{"group": "/vo", "issuers": [issuer]}],
                    "anonymous_account": site.visitor.name,
                    "umask": "0022",
                    "base_path": "/ruled",
                },
            ],
            "rule": [
                rule("permit", ["all"], member),
                rule("permit", ["read", "list"], {"who": "anyone"}, "/public/**"),
                rule("deny", ["write", "delete"], {"who": "anyone"}, "/raw/**"),
                rule("permit", ["read"], {"issuer": issuer, "client_id": "rucio"}),
            ],
            "ban": [{"issuer": issuer, "subject": "mallory", "reason": "a leaked token"}],
        }
    )


@pytest.fixture
def content(storage: Path, site: Site) -> Iterator[Path]:
    for name in ("public", "raw", "other"):
        folder = storage / "ruled" / name
        folder.mkdir()
        (folder / "f").write_bytes(b"content")
        for path in (folder, folder / "f"):
            os.chown(path, site.vo_demo.uid, site.vo_demo.gid)
    yield storage / "ruled"
    for one in (storage / "ruled").iterdir():
        shutil.rmtree(one)


def test_members_write_as_the_account_of_their_community(teapot: Teapot, tokens: Tokens, site: Site, storage: Path) -> None:
    member = tokens.of(NOBODY, "", **GROUPS)
    assert teapot.request("PUT", "/vo/data/f", member, b"x").status == 201
    assert (storage / "vo" / "data" / "f").owner() == site.vo_demo.name
    assert teapot.request("GET", "/vo/data/f", tokens.of(ALICE, "")).code == "not_member"


def test_who_is_mapped_stays_who_they_are_at_home(teapot: Teapot, tokens: Tokens, site: Site) -> None:
    assert teapot.request("PUT", "/home/of-a-member", tokens.of(ALICE, "", **GROUPS), b"x").status == 201
    assert (site.home_of(site.alice) / "of-a-member").owner() == site.alice.name


def test_a_scope_without_a_person_works_where_it_is_for_and_nowhere_else(teapot: Teapot, tokens: Tokens, storage: Path) -> None:
    (storage / "coll-a" / "f").write_bytes(b"content")
    only = tokens.of(NOBODY, "storage.read:/coll-a")
    assert teapot.request("GET", "/coll-a/f", only).body == b"content"
    assert teapot.request("PUT", "/coll-a/g", only, b"x").code == "insufficient_scope"
    assert teapot.request("GET", "/home/", only).code == "not_mapped"
    assert teapot.request("GET", "/vo/", only).code == "not_member"
    assert teapot.request("GET", "/coll-a/f", tokens.of(ALICE, "")).code == "capability_required"
    assert teapot.request("GET", "/coll-a/f", tokens.of(ALICE, "storage.read:/coll")).code == "insufficient_scope"
    (storage / "coll-a" / "f").unlink()


def test_rules_say_who_may_do_what_where(teapot: Teapot, tokens: Tokens, content: Path) -> None:
    member, alice = tokens.of(BOB, "", **GROUPS), tokens.of(ALICE, "")
    assert teapot.request("GET", "/ruled/other/f", member).body == b"content"
    assert teapot.request("PUT", "/ruled/other/g", member, b"x").status == 201
    assert teapot.request("PUT", "/ruled/raw/f", member, b"x").code == "denied_by_rule"
    assert teapot.request("DELETE", "/ruled/raw", member).code == "denied_by_rule"
    assert teapot.request("GET", "/ruled/other/f", alice).code == "not_member"
    moved = teapot.request("MOVE", "/ruled/other/f", member, headers={"Destination": teapot.url("/ruled/raw/moved")})
    assert moved.code == "denied_by_rule"
    assert (content / "raw" / "f").read_bytes() == b"content" and (content / "other" / "f").exists()


def test_what_is_above_something_denied_goes_without_members_only(teapot: Teapot, tokens: Tokens, content: Path) -> None:
    renamed = teapot.request("MOVE", "/ruled/raw", tokens.of(BOB, "", **GROUPS), headers={"Destination": teapot.url("/ruled/cooked")})
    assert renamed.status == 403 and (content / "raw" / "f").exists()


def test_the_public_reads_what_is_public(teapot: Teapot, content: Path) -> None:
    assert teapot.request("GET", "/ruled/public/f").body == b"content"
    assert teapot.request("GET", "/ruled/other/f").code == "denied_by_rule"
    assert teapot.request("PUT", "/ruled/public/g", body=b"x").status == 401


def test_a_link_from_what_is_public_to_what_is_not_is_not_followed(teapot: Teapot, content: Path) -> None:
    (content / "public" / "link").symlink_to("../other/f")
    assert teapot.request("GET", "/ruled/public/link").code == "leaves_area"


def test_scopes_are_relative_to_the_area_that_says_so_and_rules_narrow_them(teapot: Teapot, tokens: Tokens, content: Path) -> None:
    rucio = tokens.of(NOBODY, "storage.read:/other storage.modify:/", client_id="rucio")
    assert teapot.request("GET", "/ruled/other/f", rucio).body == b"content"
    assert teapot.request("GET", "/ruled/raw/f", rucio).code == "insufficient_scope"
    assert teapot.request("DELETE", "/ruled/other/f", rucio).code == "denied_by_rule"


def test_who_is_banned_is_let_in_nowhere(teapot: Teapot, tokens: Tokens) -> None:
    refused = teapot.request("GET", "/coll-a/", tokens.of("mallory", "storage.read:/"))
    assert (refused.status, refused.code) == (403, "banned")
