"""What comes in wrong is answered with the right status and a stable code, changes nothing, and disturbs nobody."""

import time
from pathlib import Path

import pytest

from teapot.demo.certificates import ServerFiles
from teapot.demo.issuer import Issuer
from tests.end_to_end.conftest import StartTeapot
from tests.service.accounts import Account
from tests.service.site import ALICE, NOBODY, Site
from tests.service.teapot_process import Teapot
from tests.service.tokens import Tokens

GIB = 1 << 30


def refusal(teapot: Teapot, token: str | None, method: str = "GET", target: str = "/home/") -> tuple[int, str]:
    answer = teapot.request(method, target, token)
    return answer.status, answer.code


# --- tokens


def test_no_token_is_401_with_a_challenge_that_names_no_error(teapot: Teapot) -> None:
    answer = teapot.request("GET", "/home/any")
    assert (answer.status, answer.code) == (401, "token_missing")
    assert answer.headers["www-authenticate"].startswith("Bearer") and "error=" not in answer.headers["www-authenticate"]


@pytest.mark.parametrize("garbage", ["x", "a.b.c", "eyJhbGciOiJSUzI1NiJ9.e30", "....", "%00", "Bearer"])
def test_a_garbled_token_is_401(teapot: Teapot, garbage: str) -> None:
    answer = teapot.request("GET", "/home/any", garbage)
    assert (answer.status, answer.code) == (401, "token_malformed")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_token_expired_by_a_second_is_401(teapot: Teapot, tokens: Tokens) -> None:
    assert refusal(teapot, tokens.expired(ALICE)) == (401, "token_expired")


def test_a_token_that_was_good_is_401_once_it_has_expired(teapot: Teapot, tokens: Tokens) -> None:
    token = tokens.of(ALICE, exp=int(time.time()) + 2)
    assert teapot.request("PROPFIND", "/home/", token, headers={"Depth": "0"}).status == 207
    time.sleep(3)
    assert refusal(teapot, token) == (401, "token_expired")


def test_a_token_for_another_service_is_401(teapot: Teapot, tokens: Tokens) -> None:
    assert refusal(teapot, tokens.of(ALICE, aud="https://elsewhere.example.org")) == (401, "token_audience")


def test_a_token_of_an_issuer_that_is_not_configured_is_401_and_the_issuer_is_never_asked(
    teapot: Teapot, server_files: ServerFiles
) -> None:
    with Issuer(server_files) as stranger:
        assert refusal(teapot, Tokens(stranger, teapot.url()).of(ALICE)) == (401, "token_issuer")
        assert not stranger.asked


def test_an_unsigned_token_is_401(teapot: Teapot, tokens: Tokens) -> None:
    assert refusal(teapot, tokens.unsigned(ALICE)) == (401, "token_algorithm")


def test_a_token_signed_with_the_public_key_as_shared_secret_is_401(teapot: Teapot, tokens: Tokens) -> None:
    assert refusal(teapot, tokens.hs256_with_public_key(ALICE)) == (401, "token_algorithm")


def test_a_token_signed_with_another_key_is_401(teapot: Teapot, tokens: Tokens) -> None:
    assert refusal(teapot, tokens.of_wrong_key(ALICE)) == (401, "token_signature")


def test_a_token_altered_after_signing_is_401(teapot: Teapot, tokens: Tokens) -> None:
    assert refusal(teapot, tokens.altered(NOBODY, ALICE)) == (401, "token_signature")


def test_a_token_in_the_url_is_not_looked_at(teapot: Teapot, as_alice: str) -> None:
    assert refusal(teapot, None, target=f"/home/any?access_token={as_alice}") == (401, "token_missing")


def test_two_authorization_headers_are_refused_but_the_same_one_twice_is_one(teapot: Teapot, as_alice: str, as_bob: str) -> None:
    """davfs2 1.6 sends a field that it was told to add twice with LOCK."""

    def say(*tokens: str) -> bytes:
        fields = "".join(f"Authorization: Bearer {token}\r\n" for token in tokens)
        return teapot.say(f"GET /home/any HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n".encode())

    assert say(as_alice, as_bob).startswith(b"HTTP/1.1 400")
    assert say(as_alice, as_alice).startswith(b"HTTP/1.1 404")


# --- identities


def test_the_same_subject_of_another_issuer_is_another_identity(teapot: Teapot, second_issuer: Issuer) -> None:
    token = Tokens(second_issuer, teapot.url()).of(ALICE, scope=None)
    assert refusal(teapot, token) == (403, "not_mapped")


def test_an_identity_without_an_account_is_403(teapot: Teapot, tokens: Tokens) -> None:
    assert refusal(teapot, tokens.of(NOBODY)) == (403, "not_mapped")


def test_an_account_with_a_uid_below_the_floor_is_never_served(
    start_teapot: StartTeapot, site: Site, issuer: Issuer, service_accounts: dict[str, Account]
) -> None:
    users = site.directory / "low-uid.map"
    users.write_text(f"{service_accounts['observer_account'].name} {ALICE} {issuer.url}\nroot root-subject {issuer.url}\n")
    teapot = start_teapot({"mapping": {"file": {"path": users}}})
    for subject in (ALICE, "root-subject"):
        answer = teapot.request("GET", "/home/", Tokens(issuer, teapot.url()).of(subject))
        assert (answer.status, answer.code) == (403, "account_not_served")
    assert not teapot.processes("worker")


def test_an_account_of_teapots_own_processes_is_never_served_whatever_the_policy_allows(
    start_teapot: StartTeapot, site: Site, issuer: Issuer, service_accounts: dict[str, Account]
) -> None:
    users = site.directory / "own.map"
    users.write_text("".join(f"{account.name} {key} {issuer.url}\n" for key, account in service_accounts.items()))
    generous = {"minimum_uid": 1, "minimum_gid": 1, "nologin": "allow"}
    teapot = start_teapot({"mapping": {"file": {"path": users}}, "accounts": generous})
    for key in service_accounts:
        answer = teapot.request("GET", "/shared/", Tokens(issuer, teapot.url()).of(key))
        assert (answer.status, answer.code) == (403, "account_not_served")


def test_an_area_is_closed_to_issuers_that_it_does_not_name(teapot: Teapot, second_issuer: Issuer) -> None:
    token = Tokens(second_issuer, teapot.url()).of("bob-elsewhere", scope=None)
    assert refusal(teapot, token, target="/vo/any") == (403, "area_issuer")


# --- places


def test_a_missing_area_root_has_a_code_of_its_own(teapot: Teapot, as_alice: str) -> None:
    assert refusal(teapot, as_alice, target="/missing/any") == (403, "area_root_missing")


def test_an_area_root_that_the_account_may_not_enter_is_403(teapot: Teapot, site: Site, as_alice: str, alice: Account) -> None:
    site.home_of(alice).chmod(0)
    try:
        assert teapot.request("GET", "/home/any", as_alice).status == 403
    finally:
        site.home_of(alice).chmod(0o700)


@pytest.mark.parametrize("method", ["GET", "PROPFIND"])
def test_an_unreadable_directory_is_403(teapot: Teapot, site: Site, as_alice: str, alice: Account, method: str) -> None:
    closed = site.home_of(alice) / "closed"
    alice.run("mkdir", "-p", str(closed))
    closed.chmod(0)
    target = "/home/closed/" if method == "PROPFIND" else "/home/closed/file"
    answer = teapot.request(method, target, as_alice, headers={"Depth": "1"})
    assert (answer.status, answer.code) == (403, "permission_denied")


def test_a_place_outside_all_areas_is_404_and_says_no_more(teapot: Teapot, as_alice: str) -> None:
    assert refusal(teapot, as_alice, target="/etc/passwd") == (404, "outside_area")


@pytest.mark.parametrize("target", ["/home/a%00b", "/home/../etc/passwd", "/home/%2e%2e/x", "/home/a%2f..%2fb", "/home/./x", "/home/%zz"])
def test_paths_that_mean_two_things_are_400(teapot: Teapot, as_alice: str, target: str) -> None:
    assert teapot.request("GET", target, as_alice).status == 400


def test_a_symbolic_link_out_of_the_area_is_not_followed(teapot: Teapot, site: Site, as_alice: str, alice: Account) -> None:
    alice.run("ln", "-s", "/etc", str(site.home_of(alice) / "way-out"))
    assert refusal(teapot, as_alice, target="/home/way-out/passwd") == (403, "leaves_area")
    assert teapot.request("PUT", "/home/way-out/new", as_alice, b"x").status == 403


def test_a_symbolic_link_into_another_home_is_not_followed(teapot: Teapot, site: Site, as_alice: str, alice: Account, bob: Account) -> None:
    alice.run("ln", "-s", str(site.home_of(bob)), str(site.home_of(alice) / "to-bob"))
    assert teapot.request("GET", "/home/to-bob/any", as_alice).status == 403


# --- requests


@pytest.mark.parametrize("nonsense", ["bytes", "bytes=", "bytes=a-b", "bytes=5-2", "lines=1-2", "bytes=-", "bytes=1--2"])
def test_a_range_that_cannot_be_understood_is_ignored(teapot: Teapot, as_alice: str, nonsense: str) -> None:
    teapot.request("PUT", "/home/ten", as_alice, b"0123456789")
    answer = teapot.request("GET", "/home/ten", as_alice, headers={"Range": nonsense})
    assert (answer.status, answer.body) == (200, b"0123456789")


def test_a_range_behind_the_end_is_416_with_the_length(teapot: Teapot, as_alice: str) -> None:
    teapot.request("PUT", "/home/ten", as_alice, b"0123456789")
    answer = teapot.request("GET", "/home/ten", as_alice, headers={"Range": "bytes=10-"})
    assert (answer.status, answer.headers["content-range"]) == (416, "bytes */10")


def head(token: str, method: str, target: str, *fields: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", *fields, "", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    "cut_short",
    [
        pytest.param((b"Content-Length: 1000", b"only this"), id="sized"),
        pytest.param((b"Transfer-Encoding: chunked", b"9\r\nonly this\r\n"), id="chunked-without-end"),
        pytest.param((b"Transfer-Encoding: chunked", b"ff\r\nonly this"), id="chunked-in-a-chunk"),
    ],
)
def test_a_body_shorter_than_announced_is_never_stored(
    teapot: Teapot, site: Site, as_alice: str, alice: Account, cut_short: tuple[bytes, bytes]
) -> None:
    field, body = cut_short
    before = sorted(site.home_of(alice).iterdir())
    with teapot.connect() as connection:
        connection.sendall(head(as_alice, "PUT", "/home/short", field.decode()) + body)
        time.sleep(0.3)
    time.sleep(0.7)
    assert sorted(site.home_of(alice).iterdir()) == before


def test_of_a_body_longer_than_announced_only_what_was_announced_is_stored(
    teapot: Teapot, site: Site, as_alice: str, alice: Account
) -> None:
    with teapot.connect() as connection:
        connection.sendall(head(as_alice, "PUT", "/home/long", "Content-Length: 4") + b"four")
        assert connection.recv(65536).startswith(b"HTTP/1.1 201")
        connection.sendall(b" and more\r\n\r\n")
        assert b" 400 " in connection.recv(65536).splitlines()[0]
    assert (site.home_of(alice) / "long").read_bytes() == b"four"


def test_of_a_longer_body_in_one_piece_nothing_more_than_was_announced_is_stored(
    teapot: Teapot, site: Site, as_alice: str, alice: Account
) -> None:
    heard = teapot.say(head(as_alice, "PUT", "/home/longer", "Content-Length: 4") + b"four and more")
    stored = site.home_of(alice) / "longer"
    assert b" 400 " in heard
    assert not stored.exists() or stored.read_bytes() == b"four"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(("Content-Length: 4", "Transfer-Encoding: chunked"), id="length-and-chunked"),
        pytest.param(("Transfer-Encoding: chunked", "Content-Length: 4"), id="chunked-and-length"),
        pytest.param(("Content-Length: 4", "Content-Length: 5"), id="two-lengths"),
        pytest.param(("Content-Length: +4",), id="signed-length"),
        pytest.param(("Content-Length : 4",), id="space-before-colon"),
    ],
)
def test_a_body_that_could_be_framed_in_two_ways_is_400(
    teapot: Teapot, site: Site, as_alice: str, alice: Account, fields: tuple[str, ...]
) -> None:
    heard = teapot.say(head(as_alice, "PUT", "/home/framed", *fields) + b"4\r\nbody\r\n0\r\n\r\n")
    assert heard.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert heard.count(b"HTTP/1.") == 1, "the connection is closed"
    assert not (site.home_of(alice) / "framed").exists()


def test_a_transfer_encoding_other_than_chunked_is_501(teapot: Teapot, as_alice: str) -> None:
    heard = teapot.say(head(as_alice, "PUT", "/home/any", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n")
    assert heard.startswith((b"HTTP/1.1 501", b"HTTP/1.1 400"))


def test_a_token_of_16_kib_works(teapot: Teapot, tokens: Tokens) -> None:
    token = tokens.of(ALICE, eduperson_entitlement=[f"urn:mace:example.org:group:{n:05}" for n in range(320)])
    assert 15_000 < len(token) < 18_000
    assert teapot.request("PROPFIND", "/home/", token, headers={"Depth": "0"}).status == 207


def test_64_kib_of_headers_are_431_and_are_not_echoed(teapot: Teapot, as_alice: str) -> None:
    fields = [f"X-Padding-{n}: {'p' * 8000}" for n in range(9)]
    heard = teapot.say(head(as_alice, "GET", "/home/any", *fields))
    assert b" 431 " in heard.splitlines()[0]
    assert as_alice.encode() not in heard and b"pppp" not in heard


def test_an_expectation_that_cannot_be_met_is_417(teapot: Teapot, as_alice: str) -> None:
    heard = teapot.say(head(as_alice, "PUT", "/home/any", "Expect: fly", "Content-Length: 4"))
    assert heard.startswith(b"HTTP/1.1 417")


def test_a_refused_upload_of_a_gib_is_refused_before_the_body_is_sent(teapot: Teapot, tmp_path: Path, tokens: Tokens) -> None:
    sparse = tmp_path / "sparse"
    with open(sparse, "wb") as file:
        file.truncate(GIB)
    began = time.monotonic()
    answer = teapot.curl("/home/big", "-T", sparse, "-H", "Expect: 100-continue", token=tokens.expired(ALICE))
    assert answer.status == 401
    assert time.monotonic() - began < 2


def test_a_body_that_does_not_match_its_digest_is_not_stored(teapot: Teapot, site: Site, as_alice: str, alice: Account) -> None:
    answer = teapot.request("PUT", "/home/digest", as_alice, b"data", headers={"Digest": "adler32=00000001"})
    assert (answer.status, answer.code) == (400, "digest_mismatch")
    assert not (site.home_of(alice) / "digest").exists()


@pytest.mark.parametrize("method", ["POST", "PATCH", "TRACE", "CONNECT", "BREW"])
def test_a_method_that_is_not_offered_is_refused(teapot: Teapot, as_alice: str, method: str) -> None:
    assert teapot.say(head(as_alice, method, "/home/any", "Content-Length: 0")).split(b" ")[1] in (b"400", b"405", b"501")


def test_no_answer_and_no_log_line_holds_a_token(teapot: Teapot, as_alice: str) -> None:
    for token in (as_alice, as_alice + "x"):
        teapot.request("GET", "/home/any", token)
        teapot.say(b"\x00\x01GET /home/any HTTP/1.1\r\nAuthorization: Bearer " + token.encode() + b"\r\n\r\n")
    assert as_alice.rpartition(".")[2] not in teapot.log()
