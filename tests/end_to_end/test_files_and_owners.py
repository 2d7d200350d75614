"""A token comes in, a file lands with the right owner: over TLS, as two people, a VO account and a visitor."""

import os
import secrets
import stat
from pathlib import Path

import pytest

from teapot.demo.issuer import Issuer
from tests.service.accounts import Account
from tests.service.site import ALICE, NOBODY, Site
from tests.service.teapot_process import Teapot
from tests.service.tokens import Tokens


@pytest.fixture
def content(tmp_path: Path) -> Path:
    path = tmp_path / "content"
    path.write_bytes(secrets.token_bytes(300_000))
    return path


def owner(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


def test_an_uploaded_file_belongs_to_the_callers_account(teapot: Teapot, site: Site, alice: Account, as_alice: str, content: Path) -> None:
    answer = teapot.curl("/home/results.dat", "-T", content, token=as_alice)
    stored = site.home_of(alice) / "results.dat"
    assert (answer.exit_status, answer.status) == (0, 201)
    assert owner(stored) == (alice.uid, alice.gid)
    assert stored.read_bytes() == content.read_bytes()


def test_what_was_uploaded_is_listed_downloaded_and_deleted(
    teapot: Teapot, site: Site, alice: Account, as_alice: str, content: Path
) -> None:
    teapot.curl("/home/trip.dat", "-T", content, token=as_alice)
    listing = teapot.curl("/home/", "-X", "PROPFIND", "-H", "Depth: 1", token=as_alice)
    assert listing.status == 207 and b"/home/trip.dat" in listing.body
    assert teapot.curl("/home/trip.dat", token=as_alice).body == content.read_bytes()
    assert teapot.curl("/home/trip.dat", "-X", "DELETE", token=as_alice).status == 204
    assert teapot.curl("/home/trip.dat", token=as_alice).status == 404
    assert not (site.home_of(alice) / "trip.dat").exists()


def test_two_callers_write_at_the_same_url_into_their_own_homes(
    teapot: Teapot, site: Site, alice: Account, bob: Account, as_alice: str, as_bob: str
) -> None:
    for token, text in ((as_alice, b"alice's"), (as_bob, b"bob's")):
        assert teapot.request("PUT", "/home/same.txt", token, text).status == 201
    assert (site.home_of(alice) / "same.txt").read_bytes() == b"alice's"
    assert (site.home_of(bob) / "same.txt").read_bytes() == b"bob's"
    assert owner(site.home_of(bob) / "same.txt") == (bob.uid, bob.gid)


def test_a_file_of_one_account_cannot_be_read_by_the_other(teapot: Teapot, site: Site, as_alice: str, as_bob: str, bob: Account) -> None:
    assert teapot.request("PUT", "/shared/private.txt", as_alice, b"for alice").status == 201
    assert stat.S_IMODE((site.shared / "private.txt").stat().st_mode) == 0o640
    refused = teapot.request("GET", "/shared/private.txt", as_bob)
    assert (refused.status, refused.code) == (403, "permission_denied")
    assert bob.run("cat", str(site.shared / "private.txt")).returncode != 0, "what Teapot refuses, the kernel refuses"
    assert teapot.request("GET", "/shared/private.txt", as_alice).body == b"for alice"


def test_a_file_of_one_account_cannot_be_replaced_or_deleted_by_the_other(teapot: Teapot, site: Site, as_alice: str, as_bob: str) -> None:
    teapot.request("PUT", "/shared/mine.txt", as_alice, b"alice's")
    assert teapot.request("PUT", "/shared/mine.txt", as_bob, b"bob's").status == 403
    assert teapot.request("DELETE", "/shared/mine.txt", as_bob).status == 403
    assert (site.shared / "mine.txt").read_bytes() == b"alice's"


def test_the_vo_area_is_served_as_its_fixed_account_whoever_comes(
    teapot: Teapot, site: Site, tokens: Tokens, as_alice: str, vo_demo: Account
) -> None:
    assert teapot.request("PUT", "/vo/by-alice", as_alice, b"1").status == 201
    robot = tokens.of(NOBODY, "storage.modify:/vo storage.read:/vo")
    assert teapot.request("PUT", "/vo/by-a-robot", robot, b"2").status == 201
    assert {owner(site.vo / name) for name in ("by-alice", "by-a-robot")} == {(vo_demo.uid, vo_demo.gid)}


def test_a_scope_narrows_what_the_account_may_do(teapot: Teapot, site: Site, tokens: Tokens) -> None:
    reader = tokens.of(ALICE, "storage.read:/vo/open storage.modify:/vo/inbox")
    assert teapot.request("PUT", "/vo/inbox/new", reader, b"x").status == 201
    refused = teapot.request("PUT", "/vo/inboxes/new", reader, b"x")
    assert (refused.status, refused.code) == (403, "insufficient_scope")
    assert not (site.vo / "inboxes").exists()


def test_without_a_token_the_public_area_can_be_read_as_the_visitors_account_and_not_written(
    teapot: Teapot, site: Site, as_alice: str
) -> None:
    assert teapot.request("PUT", "/public/news.txt", as_alice, b"news").status == 201
    assert teapot.curl("/public/news.txt").body == b"news"
    refused = teapot.request("PUT", "/public/graffiti.txt", None, b"x")
    assert (refused.status, refused.code) == (401, "anonymous_read_only")
    assert not (site.public / "graffiti.txt").exists()


def test_without_a_token_what_the_visitors_account_may_not_read_stays_closed(teapot: Teapot, site: Site, vo_demo: Account) -> None:
    secret = site.public / "internal.txt"
    secret.write_bytes(b"internal")
    os.chown(secret, vo_demo.uid, vo_demo.gid)
    secret.chmod(0o600)
    assert teapot.request("GET", "/public/internal.txt").status in (401, 403)


def test_the_second_issuers_identity_reaches_its_own_account(teapot: Teapot, second_issuer: Issuer, site: Site, bob: Account) -> None:
    token = Tokens(second_issuer, teapot.url()).of("bob-elsewhere", scope=None)
    assert teapot.request("PUT", "/home/elsewhere.txt", token, b"bob").status == 201
    assert owner(site.home_of(bob) / "elsewhere.txt")[0] == bob.uid


def test_es256_tokens_are_as_good(teapot: Teapot, issuer: Issuer) -> None:
    token = issuer.token(ALICE, teapot.url(), algorithm="ES256", scope="storage.read:/", **{"wlcg.ver": "1.0"})
    assert teapot.curl("/home/", "-X", "PROPFIND", "-H", "Depth: 0", token=token).status == 207


def test_every_answer_has_a_request_id_of_its_own(teapot: Teapot, as_alice: str) -> None:
    seen = {teapot.request("GET", "/home/none", token).problem["request_id"] for token in (as_alice, as_alice, None)}
    assert len(seen) == 3
