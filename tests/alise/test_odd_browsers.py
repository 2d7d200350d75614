"""Browsers whose headers are allowed though nobody expects them: they get pages like everybody."""

import asyncio
import ssl
from urllib.parse import urlsplit

import pytest

from tests.alise.conftest import Stage
from tests.alise.running import Browser


async def raw(browser: Browser, request: str) -> bytes:
    """The status line of the answer to bytes that no library would send."""
    place = urlsplit(browser.alise.url)
    tls = ssl.create_default_context(cafile=browser.alise.ca)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, ssl=tls)
    head, _, body = request.partition("\n\n")
    lines = [*head.splitlines(), f"Host: {place.netloc}", "Connection: close", f"Cookie: __Host-alise={browser.cookie}"]
    writer.write("\r\n".join([*lines, "", body]).encode("latin-1"))
    answer = await reader.read()
    writer.close()
    return answer.partition(b"\r\n")[0]


@pytest.mark.parametrize("wish", ["EN", "EN-us", "En", "de;q=nan, EN", "\udcff"])
async def test_a_language_is_known_however_its_tag_is_written(stage: Stage, wish: str) -> None:
    answer = await stage.new_browser().get("/site", headers={"Accept-Language": wish.encode(errors="surrogateescape").decode("latin-1")})
    assert (answer.status, answer.headers["Content-Language"]) == (200, "en")


async def test_a_browser_whose_name_is_no_text_logs_in(stage: Stage) -> None:
    browser = stage.new_browser()
    handed_over = await browser.post("/site/login", page="/site")
    callback = browser.callback(stage.site, handed_over, "site", sub="s-alice", preferred_username="alice")
    assert b" 303 " in await raw(browser, f"GET {callback} HTTP/1.1\nUser-Agent: M\xff\n\n")


@pytest.mark.parametrize("charset", ["none-such", "base64", "utf-16"])
async def test_a_form_in_an_encoding_that_is_none_is_400(stage: Stage, charset: str) -> None:
    browser = stage.new_browser()
    body = f"form_token={(await browser.get('/site')).form_token}"
    head = f"POST /site/login HTTP/1.1\nOrigin: {stage.alise.url}\nContent-Length: {len(body)}\n"
    kind = f"Content-Type: application/x-www-form-urlencoded; charset={charset}"
    assert b" 400 " in await raw(browser, f"{head}{kind}\n\n{body}")
