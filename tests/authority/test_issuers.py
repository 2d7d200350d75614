"""What the authority asks issuers for, how often, and what it makes of issuers that are away, slow, huge or lead
elsewhere.
"""

import asyncio
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from teapot.channel.authority_messages import Identified, Refused
from teapot.configuration import Issuer, Outbound, Trust
from teapot.demo.certificates import CertificateAuthority
from tests.authority.conftest import HOME, Start
from tests.authority.issuer import OAUTH, OPENID, OTHER_RSA, Handler, TestIssuer
from tests.authority.process import Authority, Gateway, mapped, until

WLCG: dict[str, Any] = {"wlcg.ver": "1.0"}


def says(document: dict[str, Any]) -> Handler:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response(document)

    return answer


def leads_to(location: str) -> Handler:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location})

    return answer


def test_keys_are_fetched_once_for_many_questions_of_several_gateways(
    authority: Authority, gateway: Gateway, issuer: TestIssuer
) -> None:
    gateways = [gateway, authority.gateway(2), authority.gateway(3)]
    for _ in range(20):
        for one in gateways:
            one.ask(issuer.token(**WLCG))
    for one in gateways:
        for _ in range(20):
            assert isinstance(one.hear(), Identified)
    assert issuer.asked == {OPENID: 1, "/jwks": 1}


def test_unknown_keys_do_not_make_the_authority_ask_again_and_again(gateway: Gateway, issuer: TestIssuer) -> None:
    gateway.caller(issuer.token(**WLCG))
    for number in range(20):
        assert gateway.problem(issuer.token(OTHER_RSA, kid=f"unknown-{number}", **WLCG)) == "token_signature"
    assert issuer.asked["/jwks"] == 1, "the pause after a fetch holds"


def test_keys_that_were_fetched_outlive_the_issuer(gateway: Gateway, issuer: TestIssuer) -> None:
    gateway.caller(issuer.token(**WLCG))
    issuer.go_down()
    assert gateway.caller(issuer.token(**WLCG)).subject == "alice-at-home"


def test_an_issuer_that_is_away_is_503_and_found_again_soon(gateway: Gateway, issuer: TestIssuer) -> None:
    token = issuer.token(**WLCG)
    issuer.go_down()
    assert gateway.problem(token) == "issuer_unavailable"
    started = time.monotonic()
    assert gateway.problem(token) == "issuer_unavailable"
    assert time.monotonic() - started < 0.5, "a failure is remembered for a moment"
    issuer.come_back()
    until(lambda: isinstance(gateway.answer(token), Identified))


def test_an_issuer_that_is_slow_delays_no_other(
    begin: Start, users_map: Path, account: str, issuer: TestIssuer
) -> None:
    async def never(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    with TestIssuer() as slow:
        slow.answers["/jwks"] = never
        users_map.write_text(f"{account} alice-at-home {issuer.url}\n")
        issuers = tuple(Issuer(url=one.url, profile="wlcg") for one in (issuer, slow))
        authority = begin(issuers=issuers, mapping=mapped(users_map), areas=(HOME,))
        authority.spawner()
        gateway = authority.gateway()
        waiting = gateway.ask(slow.token(**WLCG))
        started = time.monotonic()
        gateway.ask(issuer.token(**WLCG))
        assert isinstance(gateway.hear(), Identified)
        assert time.monotonic() - started < 1.5
        late = gateway.hear()
        assert isinstance(late, Refused) and (late.ask, late.problem) == (waiting, "issuer_unavailable")
        assert time.monotonic() - started < 4


def test_any_number_of_tokens_of_an_issuer_that_is_slow_delays_no_other(
    begin: Start, users_map: Path, account: str, issuer: TestIssuer
) -> None:
    """Anybody can make up tokens in its name."""

    async def never(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    with TestIssuer() as slow:
        slow.answers["/jwks"] = never
        users_map.write_text(f"{account} alice-at-home {issuer.url}\n")
        issuers = tuple(Issuer(url=one.url, profile="wlcg") for one in (issuer, slow))
        authority = begin(
            issuers=issuers, mapping=mapped(users_map), areas=(HOME,), outbound=Outbound(timeout_s=8.0)
        )
        authority.spawner()
        gateway = authority.gateway()
        made_up = [slow.token(**WLCG, n=number) for number in range(700)]
        good = issuer.token(**WLCG)
        started = time.monotonic()
        for token in made_up:
            gateway.ask(token)
        asked = gateway.ask(good)
        while gateway.hear().ask != asked:  # type: ignore[union-attr]
            pass
        assert time.monotonic() - started < 4


async def huge(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=b'{"keys": [' + b" " * (1 << 20) + b"]}", content_type="application/json")


async def not_json(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="<html>maintenance</html>")


async def deep(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text='{"keys":' * 50_000)


async def compressed(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=b"\x1f\x8b\x08", headers={"Content-Encoding": "gzip"})


async def failing(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=500)


@pytest.mark.parametrize("bad", [huge, not_json, deep, compressed, failing])
def test_a_key_set_that_is_of_no_use_is_503(
    gateway: Gateway, issuer: TestIssuer, authority: Authority, bad: Handler
) -> None:
    issuer.answers["/jwks"] = bad
    assert gateway.problem(issuer.token(**WLCG)) == "issuer_unavailable"
    assert "signing keys" in authority.log


def test_a_redirect_to_another_place_is_not_followed(gateway: Gateway, issuer: TestIssuer) -> None:
    with TestIssuer() as other:
        issuer.answers["/jwks"] = leads_to(f"{other.origin}/jwks")
        assert gateway.problem(issuer.token(**WLCG)) == "issuer_unavailable"
        assert not other.asked


def test_a_redirect_within_the_issuer_is_followed(gateway: Gateway, issuer: TestIssuer) -> None:
    issuer.answers[OPENID] = says({**issuer.metadata(), "jwks_uri": f"{issuer.origin}/moved"})
    issuer.answers["/moved"] = leads_to("/jwks")
    assert gateway.caller(issuer.token(**WLCG)).subject == "alice-at-home"


def test_redirects_in_a_circle_end(gateway: Gateway, issuer: TestIssuer) -> None:
    issuer.answers["/jwks"] = leads_to("/jwks")
    assert gateway.problem(issuer.token(**WLCG)) == "issuer_unavailable"
    assert issuer.asked["/jwks"] <= 4


def test_metadata_of_another_issuer_are_refused(gateway: Gateway, issuer: TestIssuer, authority: Authority) -> None:
    issuer.answers[OPENID] = says({**issuer.metadata(), "issuer": issuer.url.rstrip("/")})
    assert gateway.problem(issuer.token(**WLCG)) == "issuer_unavailable"
    assert "trailing slash" in authority.log
    assert "/jwks" not in issuer.asked


def test_an_issuer_with_rfc_8414_metadata_only_is_understood(begin: Start, users_map: Path) -> None:
    with TestIssuer("/realms/site") as issuer:
        issuer.answers["/realms/site" + OPENID] = lambda request: _missing()
        issuer.answers[OAUTH + "/realms/site"] = says(issuer.metadata())
        authority = begin(issuers=(Issuer(url=issuer.url, profile="wlcg"),), mapping=mapped(users_map), areas=(HOME,))
        authority.spawner()
        assert authority.gateway().caller(issuer.token(**WLCG)).subject == "alice-at-home"


async def _missing() -> web.StreamResponse:
    return web.Response(status=404)


@pytest.fixture
def tls_issuer(tmp_path: Path) -> Iterator[tuple[TestIssuer, Path]]:
    authority = CertificateAuthority("issuers of these tests")
    files = authority.issue(tmp_path, "localhost")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files.certificate, files.key)
    with TestIssuer("/", tls) as issuer:
        yield issuer, authority.write(tmp_path / "ca.pem")


def test_an_https_issuer_is_believed_with_its_ca_and_not_without(
    begin: Start, users_map: Path, tls_issuer: tuple[TestIssuer, Path]
) -> None:
    issuer, ca = tls_issuer
    problems = []
    for trust in (Trust(ca=str(ca)), Trust()):
        issuers = (Issuer(url=issuer.url, profile="wlcg"),)
        authority = begin(issuers=issuers, mapping=mapped(users_map), areas=(HOME,), trust=trust)
        authority.spawner()
        answer = authority.gateway().answer(issuer.token(**WLCG))
        problems.append(answer.problem if isinstance(answer, Refused) else "")
    assert problems == ["", "issuer_unavailable"]


def test_a_trust_file_that_cannot_be_read_is_said_at_the_start(begin: Start, tmp_path: Path) -> None:
    authority = begin(trust=Trust(ca=str(tmp_path / "missing.pem")))
    assert authority.process.wait(10) == 1
    assert "missing.pem" in authority.log and "Traceback" not in authority.log
