"""Whose request it is, as limits are counted and the log says: nobody chooses that, whatever they send."""

import aiohttp
import pytest
from aiohttp import web

from alise.http.client_address import ClientAddresses, household

PROXIES = ("127.0.0.0/8", "10.0.0.0/8")

SAID = {
    "nothing": ([], "127.0.0.1"),
    "our proxy": (["198.51.100.7"], "198.51.100.7"),
    "a client that says so itself": (["203.0.113.1, 198.51.100.7"], "198.51.100.7"),
    "two proxies of ours": (["203.0.113.1, 198.51.100.7, 10.0.0.5"], "198.51.100.7"),
    "two lines": (["203.0.113.1", "198.51.100.7"], "198.51.100.7"),
    "a proxy that adds the port": (["203.0.113.1, 198.51.100.7:51234"], "198.51.100.7"),
    "a proxy that adds the port, IPv6": (["203.0.113.1, [2001:db8::7]:51234"], "2001:db8::7"),
    "brackets": (["203.0.113.1, [2001:db8::7]"], "2001:db8::7"),
    "IPv4 in IPv6": (["::ffff:198.51.100.7"], "198.51.100.7"),
    "what is no address": (["203.0.113.1, unknown"], "127.0.0.1"),
    "what is no address, from the proxy behind": (["203.0.113.1, _hidden, 10.0.0.5"], "10.0.0.5"),
    "an empty end": (["203.0.113.1, "], "127.0.0.1"),
}


async def address(trusted: tuple[str, ...], said: list[str]) -> str:
    async def tell(request: web.BaseRequest) -> web.Response:
        return web.Response(text=ClientAddresses(trusted).of(request))

    runner = web.ServerRunner(web.Server(tell))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    headers = [("X-Forwarded-For", line) for line in said]
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/", headers=headers) as answer:
        found = await answer.text()
    await runner.cleanup()
    return found


@pytest.mark.parametrize("case", SAID)
async def test_the_last_that_is_no_proxy_of_ours_is_the_client_with(case: str) -> None:
    said, expected = SAID[case]
    assert await address(PROXIES, said) == expected


async def test_without_trusted_proxies_nothing_that_is_said_counts() -> None:
    assert await address((), ["198.51.100.7"]) == "127.0.0.1"


def test_limits_are_counted_by_address_and_of_ipv6_by_network() -> None:
    assert household("198.51.100.7") == "198.51.100.7"
    assert household("2001:db8::7") == household("2001:db8::8") != household("2001:db8:0:1::7")
