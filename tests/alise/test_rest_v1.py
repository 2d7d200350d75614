"""API v1: what clients of ALISE 1 send and read, byte for byte where they depend on it."""

import asyncio
import hashlib
import logging
import ssl
from urllib.parse import quote, quote_plus, urlsplit

import pytest

from alise.rest.api import API
from alise.storage.administration import NewLink
from tests.alise.conftest import ADA, GOOGLE, ISSUER, SITE_ISSUER, Desk
from tests.alise.running import Answer

ODD = ["plain", "a:b:c", "a/b", "a+b", "a%2Bb", "100%", "x@y@z", "a b", "ünï-çode", "\U0001f600", "'; DROP TABLE link;--", "a&b=c?d#"]
QUOTED = [quote_plus, lambda text: quote_plus(quote_plus(text)), lambda text: quote(text, safe="")]


def sha1(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


def twice(text: str) -> str:
    return quote(quote(text, safe=""), safe="")


def path(issuer: str, subject: str, site: str = "hpc") -> str:
    return f"/api/v1/target/{site}/mapping/issuer/{issuer}/user/{subject}"


async def as_teapot_asks(desk: Desk, issuer: str = ISSUER, subject: str = ADA, key: str = "") -> Answer:
    return await desk.client.get(f"{path(sha1(issuer), quote_plus(subject))}?apikey={key or desk.key.key}")


async def test_the_first_teapots_question_gets_the_username_and_every_identity(desk: Desk) -> None:
    await desk.administration.add(NewLink("hpc", "alice", GOOGLE, "108"), SITE_ISSUER)
    answer = await as_teapot_asks(desk)
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("application/json")
    assert answer.json == {
        "internal": {"sub": "", "iss": SITE_ISSUER, "username": "alice", "last_seen": 0, "display_name": ""},
        "external": [
            {"sub": ADA, "iss": ISSUER, "last_seen": 0, "display_name": ""},
            {"sub": "108", "iss": GOOGLE, "last_seen": 0, "display_name": ""},
        ],
    }


@pytest.mark.parametrize(
    "issuer",
    [sha1(ISSUER), sha1(f"{ISSUER}\n"), sha1(ISSUER[:-1]), twice(ISSUER), twice(ISSUER[:-1])],
    ids=["sha1", "sha1 with line feed", "sha1 without slash", "quoted twice", "quoted twice without slash"],
)
async def test_an_issuer_is_known_in_every_form_in_which_clients_name_it(desk: Desk, issuer: str) -> None:
    answer = await desk.client.get(path(issuer, quote_plus(ADA)), desk.key.key)
    assert (answer.status, answer.json["internal"]["username"]) == (200, "alice")
    assert answer.json["external"][0]["iss"] == ISSUER, "as configured, whatever was asked with"


@pytest.mark.parametrize("subject", ODD)
@pytest.mark.parametrize("way", QUOTED, ids=["once", "twice", "%20"])
async def test_a_subject_with_any_characters_is_found_however_it_is_quoted(desk: Desk, subject: str, way: object) -> None:
    await desk.administration.add(NewLink("hpc", "odd", ISSUER, subject), SITE_ISSUER)
    answer = await desk.client.get(path(sha1(ISSUER), way(subject)), desk.key.key)  # type: ignore[operator]
    assert (answer.status, answer.json.get("internal", {}).get("username")) == (200, "odd"), answer.text
    assert answer.json["external"] == [{"sub": subject, "iss": ISSUER, "last_seen": 0, "display_name": ""}]


async def test_a_subject_that_is_meant_literally_wins_over_what_it_would_be_decoded_once_more(desk: Desk) -> None:
    await desk.administration.add(NewLink("hpc", "literal", ISSUER, "a%40b"), SITE_ISSUER)
    await desk.administration.add(NewLink("hpc", "decoded", ISSUER, "a@b"), SITE_ISSUER)
    assert (await as_teapot_asks(desk, subject="a%40b")).json["internal"]["username"] == "literal"
    assert (await as_teapot_asks(desk, subject="a@b")).json["internal"]["username"] == "decoded"


async def test_the_deprecated_path_knows_people_by_their_own_account_too(desk: Desk) -> None:
    await desk.alise.run_sql("UPDATE account SET subject = 'uid:alice@site'")
    for subject, issuer in ((ADA, ISSUER), ("uid:alice@site", SITE_ISSUER)):
        for quoted in (quote_plus(subject), twice(subject)):
            for named in (sha1(issuer), twice(issuer)):
                answer = await desk.client.get(f"/api/v1/hpc/get_mappings/{quoted}@{named}?apikey={desk.key.key}")
                assert (answer.status, answer.json["internal"]["username"]) == (200, "alice"), (subject, quoted, named)
    current = await desk.client.get(path(sha1(SITE_ISSUER), quote_plus("uid:alice@site")), desk.key.key)
    assert current.status == 401, "the current path knows linked identities only"


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer {}"}, {"authorization": "bearer {}"}, {"X-API-Key": "{}"}])
async def test_a_key_may_stand_in_a_header(desk: Desk, headers: dict[str, str]) -> None:
    sent = {name: value.format(desk.key.key) for name, value in headers.items()}
    assert (await desk.client.get(path(sha1(ISSUER), ADA), headers=sent)).status == 200


async def test_errors_have_the_status_and_the_shape_that_clients_know(desk: Desk) -> None:
    missing = await desk.client.get(path(sha1(ISSUER), ADA))
    assert missing.status == 422
    assert missing.json == {"detail": [{"type": "missing", "loc": ["query", "apikey"], "msg": "Field required", "input": None}]}
    wrong = await as_teapot_asks(desk, key="nonsense")
    assert (wrong.status, wrong.json) == (401, {"detail": [{"msg": "invalid apikey", "type": "invalid"}]})
    unmapped = {"detail": [{"msg": "no such user", "type": "not-mapped"}]}
    for issuer, subject in ((ISSUER, "nobody"), ("https://unknown.example", ADA)):
        answer = await as_teapot_asks(desk, issuer, subject)
        assert (answer.status, answer.json) == (401, unmapped)
    unknown = await desk.client.get("/api/v1/nothing/here/at/all")
    assert (unknown.status, unknown.json) == (404, {"detail": "Not Found"})
    assert (await desk.client.get(path(sha1(ISSUER), ADA), method="HEAD")).status == 405
    assert (await desk.client.get(path(sha1(ISSUER), ADA), method="POST")).status == 405


async def test_a_key_of_one_site_is_worth_nothing_at_another_or_at_none(desk: Desk) -> None:
    for site in ("lab", "iam", "nowhere", "x" * 5000):
        answer = await desk.client.get(f"{path(sha1(ISSUER), ADA, site)}?apikey={desk.key.key}")
        assert (answer.status, answer.json["detail"][0]["type"]) == (401, "invalid"), site[:10]


async def test_answers_about_people_are_kept_by_nobody_between(desk: Desk) -> None:
    answer = await as_teapot_asks(desk)
    assert answer.headers["Cache-Control"].startswith("private") and "max-age" not in answer.headers
    assert answer.headers["x-alise-version"]


async def test_what_does_not_count_is_as_if_it_were_not_there(desk: Desk) -> None:
    await desk.administration.change(1, "suspend")
    assert (await as_teapot_asks(desk)).status == 401
    await desk.administration.change(1, "resume")
    assert (await as_teapot_asks(desk)).status == 200
    await desk.administration.change(1, "revoke")
    assert (await as_teapot_asks(desk)).status == 401


async def test_a_database_that_is_gone_is_503_and_never_an_error_that_looks_like_an_answer(desk: Desk) -> None:
    await desk.alise.run_sql("ALTER TABLE link RENAME TO elsewhere")
    answer = await as_teapot_asks(desk)
    assert (answer.status, answer.json) == (503, {"detail": "Unavailable"}) and int(answer.headers["Retry-After"]) > 0


async def test_which_providers_there_are_needs_no_key(desk: Desk) -> None:
    listed = (await desk.client.get("/api/v1/alise/supported_issuers")).json["supported_issuers"]
    assert {"name": "hpc", "iss": SITE_ISSUER} in listed["internal"] and {"name": "iam", "iss": ISSUER} in listed["external"]
    version = await desk.client.get("/api/v1/version")
    assert version.json == version.headers["x-alise-version"]


async def test_whether_a_key_counts_is_told_for_its_site(desk: Desk) -> None:
    for site, key, counts in (("hpc", desk.key.key, True), ("lab", desk.key.key, False), ("hpc", "nonsense", False)):
        answer = await desk.client.get(f"/api/v1/target/{site}/validate_apikey/{key}")
        assert (answer.status, answer.json) == (200, {"apikey": counts})


@pytest.mark.parametrize("ask", ["lookup", "validate", "v2"])
async def test_who_guesses_keys_has_to_wait(desk: Desk, ask: str) -> None:
    async def guess(number: int) -> Answer:
        if ask == "lookup":
            return await as_teapot_asks(desk, key=f"guess{number}")
        if ask == "validate":
            return await desk.client.get(f"/api/v1/target/hpc/validate_apikey/guess{number}")
        return await desk.client.post("/api/v2/sites/hpc/resolve", {"iss": ISSUER, "sub": ADA}, f"guess{number}")

    statuses = [(await guess(number)).status for number in range(40)]
    assert set(statuses[:30]) == ({200} if ask == "validate" else {401})
    assert set(statuses[31:]) == {429}
    waiting = await guess(41)
    assert 0 < int(waiting.headers["Retry-After"]) <= 60


async def test_a_service_whose_key_has_just_counted_is_not_kept_out_by_a_neighbour_who_guesses(desk: Desk) -> None:
    assert (await as_teapot_asks(desk)).status == 200
    for number in range(40):
        await as_teapot_asks(desk, key=f"guess{number}")
    assert (await as_teapot_asks(desk)).status == 200


async def test_no_key_gets_into_a_log(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await as_teapot_asks(desk)
    await desk.client.get(f"/api/v1/target/hpc/validate_apikey/{desk.key.key}")
    await desk.client.get(f"/api/v1/target/hpc/validate_apikey/{desk.key.key}/more?apikey={desk.key.key}")
    await as_teapot_asks(desk, key="a-wrong-key-that-is-somebody-elses")
    assert caplog.text and desk.key.key not in caplog.text and "somebody-elses" not in caplog.text
    assert f"key={desk.key.id}" in caplog.text


@pytest.mark.parametrize("field", ["Authorization: Bearer alise_\udcff", "X-API-Key: \udcff"])
async def test_bytes_that_are_no_text_are_a_wrong_key_like_any_other(desk: Desk, field: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = await raw(desk, f"GET {path(sha1(ISSUER), 'ada')} HTTP/1.1", field)
    assert answer.split(b" ")[1] == b"401"
    assert not [record for record in caplog.records if record.exc_info]


async def raw(desk: Desk, line: str, field: str) -> bytes:
    tls, address = ssl.create_default_context(cafile=desk.alise.ca), urlsplit(desk.alise.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, ssl=tls)
    writer.write(f"{line}\r\nHost: localhost\r\nConnection: close\r\n{field}\r\n\r\n".encode(errors="surrogateescape"))
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


async def test_where_only_the_asked_identity_is_told_the_same_subject_elsewhere_is_not(desk: Desk) -> None:
    await desk.administration.add(NewLink("hpc", "alice", GOOGLE, ADA), SITE_ISSUER)
    object.__setattr__(desk.alise.running.app[API], "v1_all_identities", False)
    path = f"/api/v1/target/hpc/mapping/issuer/{hashlib.sha1(ISSUER.encode()).hexdigest()}/user/{quote_plus(ADA)}"
    told = (await desk.client.get(f"{path}?apikey={desk.key.key}")).json
    assert [(one["iss"], one["sub"]) for one in told["external"]] == [(ISSUER, ADA)]
