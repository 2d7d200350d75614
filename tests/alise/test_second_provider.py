"""The same pages with a site that runs another identity server: what only one of them does is not what we rely on."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from teapot.demo.certificates import ServerFiles
from tests.alise.providers.canaille import canaille
from tests.alise.providers.oidc_provider import free_port, oidc_provider
from tests.alise.running import alise
from tests.alise.test_in_a_browser import CHROMIUM, FEDERATED, at_provider


@pytest.mark.timeout(400)  # installs the server once
async def test_a_person_of_a_site_with_canaille_links(tmp_path: Path, server_files: ServerFiles, ca: Path) -> None:
    port = free_port()
    url = f"https://localhost:{port}"
    async with AsyncExitStack() as stack:
        told = {"internal": True, "title": "Example HPC", "username_claim": "sub"}
        site = stack.enter_context(canaille(tmp_path, "hpc", url, "bob", "correct horse", **told))
        federation = stack.enter_context(oidc_provider(tmp_path, "checkin", url, FEDERATED, title="EGI Check-in"))
        running = await stack.enter_async_context(alise(tmp_path, port, [site, federation.provider], server_files, ca))
        playwright = await stack.enter_async_context(async_playwright())
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        stack.push_async_callback(chromium.close)
        page = await (await chromium.new_context(ignore_https_errors=True)).new_page()
        page.set_default_timeout(15000)
        await page.goto(f"{url}/hpc")
        await page.get_by_role("button", name="Log in at Example HPC").click()
        await page.locator("input[name=login]").fill("bob")
        await page.locator("form button[type=submit]").first.click()
        await page.locator("input[name=password]").fill("correct horse")
        await page.locator("form button[type=submit]").first.click()
        await page.get_by_role("button", name="Accept").click()
        await page.wait_for_url(f"{url}/hpc")
        await page.get_by_role("link", name="Link EGI Check-in").click()
        await page.get_by_role("button", name="Log in at EGI Check-in").click()
        await at_provider(page, "e9c37aa@egi.eu")
        await page.get_by_role("button", name="Yes, link them").click()
        await page.wait_for_url(f"{url}/hpc/linked")
        assert await running.all_links() == [("bob", "e9c37aa@egi.eu")]
