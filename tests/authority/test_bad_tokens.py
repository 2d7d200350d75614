"""Every token that is not beyond doubt is refused, each for its own reason, and the spawner hears nothing of it."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from tests.authority.issuer import ED25519, OTHER_RSA, P256, P384, P521, RSA, TestIssuer, jwk, part, sign
from tests.authority.process import Authority, Gateway, Spawner

WLCG: dict[str, Any] = {"wlcg.ver": "1.0", "scope": "storage.read:/"}


@pytest.fixture(autouse=True)
def no_row_is_made_and_no_token_is_logged(
    authority: Authority, spawner: Spawner, request: pytest.FixtureRequest
) -> Any:
    yield
    if "good_ones_pass" not in request.node.name:
        assert spawner.heard() == []
    assert "eyJ" not in authority.log
    assert "internal_error" not in authority.log and "Traceback" not in authority.log


def header(token: str, **changed: Any) -> str:
    """The same token with another header: its signature is of the old one."""
    first, rest = token.split(".", 1)
    old = json.loads(base64.urlsafe_b64decode(first + "=="))
    return f"{part({**old, **changed})}.{rest}"


NO_JWT = (
    "garbled",
    "a.b.c",
    "....",
    "\u00e9\u00e9.\u00e9.\u00e9",
    "eyJ" * 4000,
    f"{part([])}.{part({})}.AAAA",
    f"{part({'alg': 'RS256'})}.{part([])}.AAAA",
    f"{part({'alg': 'RS256'})}.{part(b'[' * 9000)}.AAAA",
    f"{part({'alg': 'RS256'})}.{part(b'{')}.AAAA",
    f"{part(b'[' * 9000)}.{part({})}.AAAA",
    f"{part({'alg': 'RS256', 'kid': 7})}.e30.AAAA",
)


def test_what_is_no_jwt_is_malformed(gateway: Gateway) -> None:
    for token in NO_JWT:
        assert gateway.problem(token) == "token_malformed", token


def test_a_token_beyond_24_kib_is_malformed(gateway: Gateway, issuer: TestIssuer) -> None:
    assert gateway.problem(issuer.token(**WLCG, padding="x" * 20_000)) == "token_malformed"
    assert not issuer.asked


def test_an_algorithm_that_is_not_accepted_is_refused_before_anything_is_fetched(
    gateway: Gateway, issuer: TestIssuer
) -> None:
    for algorithm in ("none", "None", "HS256", "HS512", "ES256K", "", None, ["RS256"], {"RS256": 1}, 7, "rs256"):
        assert gateway.problem(header(issuer.token(**WLCG), alg=algorithm)) == "token_algorithm", algorithm
    assert not issuer.asked


def test_an_unsigned_token_is_refused(gateway: Gateway, issuer: TestIssuer) -> None:
    payload = issuer.token(**WLCG).split(".")[1]
    assert gateway.problem(f"{part({'alg': 'none', 'typ': 'JWT'})}.{payload}.") == "token_algorithm"


def test_the_public_key_is_no_hmac_secret(gateway: Gateway, issuer: TestIssuer) -> None:
    pem = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'rsa'})}.{issuer.token(**WLCG).split('.')[1]}"
    assert (
        gateway.problem(f"{signed}.{part(hmac.new(pem, signed.encode(), hashlib.sha256).digest())}")
        == "token_algorithm"
    )


def test_a_critical_header_is_refused(gateway: Gateway, issuer: TestIssuer) -> None:
    assert gateway.problem(issuer.token(**WLCG, header={"crit": ["b64"], "b64": True})) == "token_algorithm"
    assert gateway.problem(issuer.token(**WLCG, header={"crit": ["exp"]})) == "token_malformed"


def test_a_type_other_than_jwt_and_access_token_is_refused(gateway: Gateway, issuer: TestIssuer) -> None:
    for kind in ("dpop+jwt", "logout+jwt", "JWE"):
        assert gateway.problem(issuer.token(**WLCG, header={"typ": kind})) == "token_claims"


def test_good_ones_pass_with_every_algorithm_and_type(gateway: Gateway, issuer: TestIssuer) -> None:
    for private, algorithm, kid in (
        (RSA, "RS256", "rsa"),
        (RSA, "RS512", "rsa"),
        (RSA, "PS384", "rsa"),
        (P256, "ES256", "p256"),
        (P384, "ES384", "p384"),
        (P521, "ES512", "p521"),
        (ED25519, "EdDSA", "ed25519"),
    ):
        assert gateway.caller(issuer.token(private, algorithm, kid, **WLCG)).subject == "alice-at-home"
    for kind in ("JWT", "jwt", "at+jwt", "application/at+jwt", None):
        assert gateway.caller(issuer.token(**WLCG, header={"typ": kind})).subject == "alice-at-home"
    assert gateway.caller(issuer.token(**WLCG, kid=None)).subject == "alice-at-home"


def test_another_key_s_signature_is_refused(gateway: Gateway, issuer: TestIssuer) -> None:
    assert gateway.problem(issuer.token(OTHER_RSA, **WLCG)) == "token_signature"


def test_a_changed_payload_is_refused(gateway: Gateway, issuer: TestIssuer) -> None:
    first, payload, signature = issuer.token(**WLCG).split(".")
    changed = json.loads(base64.urlsafe_b64decode(payload + "==")) | {"sub": "root"}
    assert gateway.problem(f"{first}.{part(changed)}.{signature}") == "token_signature"


def test_an_algorithm_of_another_key_type_is_never_tried(gateway: Gateway, issuer: TestIssuer) -> None:
    assert gateway.problem(issuer.token(P256, "ES256", "rsa", **WLCG)) == "token_signature"


def test_a_key_that_comes_with_the_token_is_not_looked_at(gateway: Gateway, issuer: TestIssuer) -> None:
    token = issuer.token(OTHER_RSA, header={"jwk": jwk(OTHER_RSA, "rsa"), "jku": f"{issuer.origin}/other"}, **WLCG)
    assert gateway.problem(token) == "token_signature"
    assert "/other" not in issuer.asked


def test_an_issuer_that_is_not_configured_is_refused_and_never_asked(gateway: Gateway) -> None:
    with TestIssuer() as stranger:
        assert gateway.problem(stranger.token(**WLCG)) == "token_issuer"
        assert not stranger.asked


def test_the_issuer_is_compared_exactly(gateway: Gateway, issuer: TestIssuer) -> None:
    for other in (issuer.url.rstrip("/"), issuer.url + "/", issuer.url.upper(), None, 7, [issuer.url]):
        assert gateway.problem(issuer.token(**WLCG, iss=other)) == "token_issuer"
    assert not issuer.asked


def test_a_token_that_expired_a_second_ago_is_refused(gateway: Gateway, issuer: TestIssuer) -> None:
    assert gateway.problem(issuer.token(**WLCG, exp=int(time.time()) - 1)) == "token_expired"


def test_a_token_that_begins_in_two_minutes_is_refused(gateway: Gateway, issuer: TestIssuer) -> None:
    soon = int(time.time()) + 120
    assert gateway.problem(issuer.token(**WLCG, nbf=soon)) == "token_not_yet_valid"
    assert gateway.problem(issuer.token(**WLCG, iat=soon)) == "token_not_yet_valid"


def test_good_ones_pass_when_the_issuer_s_clock_is_half_a_minute_ahead(gateway: Gateway, issuer: TestIssuer) -> None:
    soon = int(time.time()) + 30
    assert gateway.caller(issuer.token(**WLCG, nbf=soon, iat=soon)).subject == "alice-at-home"


OTHER_AUDIENCES: tuple[Any, ...] = (
    "https://other.example.org",
    "",
    [],
    ["teapot.example.org.evil"],
    "https://wlcg.cern.ch/jwt/v1/any",
    None,
    7,
    {"https://teapot.example.org:8443": 1},
    "HTTPS://TEAPOT.EXAMPLE.ORG",
)


def test_a_token_for_another_service_is_refused(gateway: Gateway, issuer: TestIssuer) -> None:
    for audience in OTHER_AUDIENCES:
        assert gateway.problem(issuer.token(**WLCG, aud=audience)) == "token_audience", audience


WRONG_CLAIMS: tuple[dict[str, Any], ...] = (
    {"exp": None},
    {"exp": "soon"},
    {"exp": True},
    {"exp": 1e300},
    {"iat": "now"},
    {"nbf": []},
    {"sub": None},
    {"sub": ""},
    {"sub": 7},
    {"sub": "x" * 256},
    {"sub": "two\nlines"},
    {"wlcg.ver": None},
    {"wlcg.ver": "2.0"},
    {"wlcg.ver": 1.0},
    {"wlcg.ver": "1"},
    {"scope": ["storage.read:/"]},
)
WRONG_SCOPES = (
    "storage.read",
    "storage.read:",
    "storage.read:home",
    "storage.poll",
    "storage.modify:/a/../b",
    "storage.read:/a//b",
    "storage.read://",
    "storage.read:/%2e%2e/b",
    "storage.read:/a%2Fb",
    "storage.read:/a%00b",
    "storage.read:/a%252Fb",
    "storage.read:/a%zz",
    "storage.read:/a\tb",
    "storage.read:/ storage.create:/./x",
)


def test_a_claim_of_the_wrong_form_is_refused(gateway: Gateway, issuer: TestIssuer) -> None:
    for claims in WRONG_CLAIMS:
        assert gateway.problem(issuer.token(**{**WLCG, **claims})) == "token_claims", claims


def test_a_scope_whose_path_could_be_read_in_two_ways_is_refused(gateway: Gateway, issuer: TestIssuer) -> None:
    for scope in WRONG_SCOPES:
        assert gateway.problem(issuer.token(**{**WLCG, "scope": scope})) == "token_claims", scope


def test_a_number_that_is_none_is_malformed(gateway: Gateway, issuer: TestIssuer) -> None:
    payload = json.dumps({"iss": issuer.url, "exp": float("nan")}).encode()
    assert gateway.problem(sign(RSA, "RS256", {"alg": "RS256", "kid": "rsa"}, payload)) == "token_malformed"


def test_good_ones_pass_up_to_16_kib(gateway: Gateway, issuer: TestIssuer) -> None:
    token = issuer.token(**WLCG, padding="x" * 11_500)
    assert 16_000 < len(token) < 17_000
    assert gateway.caller(token).subject == "alice-at-home"
