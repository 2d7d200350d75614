"""The whole story in Chromium, against two real providers: linked, looked at, unlinked; once with the keyboard only; accessible."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.async_api import Page, async_playwright

from teapot.demo.certificates import ServerFiles
from tests.alise.providers.oidc_provider import free_port, oidc_provider
from tests.alise.running import Alise, alise
from tests.service.accessibility import violations

CHROMIUM = "/usr/bin/chromium"
LOCAL = {"alice": {"preferred_username": "alice", "name": "Alice Archer", "email": "alice.archer@hpc.example"}}
FEDERATED = {
    "e9c37aa@egi.eu": {
        "name": "Alice Archer", "email": "a.archer@uni.example", "eduperson_assurance": ["https://refeds.org/assurance/IAP/medium"],
    },
}
SCREENS = {"desktop": (1100, 900), "phone": (375, 812)}


class Story(NamedTuple):
    alise: Alise
    page: Page


@pytest.fixture
async def story(tmp_path: Path, server_files: ServerFiles, ca: Path) -> AsyncIterator[Story]:
    port = free_port()
    url = f"https://localhost:{port}"
    async with AsyncExitStack() as stack:
        site = stack.enter_context(
            oidc_provider(tmp_path, "hpc", url, LOCAL, internal=True, title="Example HPC", username_claim="preferred_username")
        )
        scopes = ("openid", "profile", "email", "eduperson_assurance")
        federation = stack.enter_context(oidc_provider(tmp_path, "checkin", url, FEDERATED, title="EGI Check-in", scopes=scopes))
        running = await stack.enter_async_context(alise(tmp_path, port, [site.provider, federation.provider], server_files, ca))
        playwright = await stack.enter_async_context(async_playwright())
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        stack.push_async_callback(chromium.close)
        context = await chromium.new_context(ignore_https_errors=True, java_script_enabled=True, locale="en-GB")
        page = await context.new_page()
        page.set_default_timeout(15000)
        yield Story(running, page)


async def at_provider(page: Page, login: str) -> None:
    """The provider's own form."""
    await page.get_by_placeholder("Enter any login").fill(login)
    await page.get_by_placeholder("and password").fill("anything")
    await page.get_by_role("button", name="Sign-in").click()


async def look(story: Story, name: str) -> None:
    """No violation in light or dark, on a desktop or a phone; pictures where they are asked for."""
    folder = os.environ.get("ALISE_SCREENSHOTS")
    for scheme in ("light", "dark"):
        await story.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for screen, (width, height) in SCREENS.items():
            await story.page.set_viewport_size({"width": width, "height": height})
            if folder:
                await story.page.screenshot(path=f"{folder}/{name}-{screen}-{scheme}.png", full_page=True)
        assert await violations(story.page) == [], f"{name}, {scheme}"
    await story.page.set_viewport_size({"width": 320, "height": 640})
    assert await story.page.evaluate("document.documentElement.scrollWidth") <= 320, f"{name} is wider than a small phone"
    await story.page.set_viewport_size({"width": 1100, "height": 900})


async def test_a_person_links_looks_and_unlinks(story: Story) -> None:
    page, url = story.page, story.alise.url
    await page.goto(url)
    await look(story, "start")
    await page.get_by_role("link", name="Example HPC").click()
    await look(story, "site")
    await page.get_by_role("button", name="Log in at Example HPC").click()
    await at_provider(page, "alice")
    await page.wait_for_url(f"{url}/hpc")
    await look(story, "no-links")
    await page.get_by_role("link", name="Link EGI Check-in").click()
    await look(story, "link")
    await page.get_by_role("button", name="Log in at EGI Check-in").click()
    await at_provider(page, "e9c37aa@egi.eu")
    await page.wait_for_url(f"{url}/hpc/confirm")
    shown = await page.inner_text("main")
    for part in ("alice.archer@hpc.example", "e9c37aa@egi.eu", "EGI Check-in", "Example HPC", "Unix user alice"):
        assert part in shown
    assert await story.alise.all_links() == []
    await look(story, "confirm")
    await page.get_by_role("button", name="Yes, link them").click()
    await page.wait_for_url(f"{url}/hpc/linked")
    await look(story, "linked")
    assert await story.alise.all_links() == [("alice", "e9c37aa@egi.eu")]
    await page.get_by_role("link", name="See my links").click()
    await look(story, "my-links")
    for name in ("Activity", "Sessions", "Privacy"):
        await page.get_by_role("link", name=name, exact=True).click()
        await look(story, name.lower())
        await page.goto(f"{url}/hpc")
    await page.get_by_role("link", name="Unlink").click()
    await look(story, "unlink")
    await page.get_by_role("button", name="Unlink").click()
    await page.get_by_text("no longer linked").wait_for()
    await look(story, "unlinked")
    assert await story.alise.all_links() == []


async def test_logging_out_here_logs_out_at_the_site_too(story: Story) -> None:
    page, url = story.page, story.alise.url
    await page.goto(f"{url}/hpc")
    await page.get_by_role("button", name="Log in at Example HPC").click()
    await at_provider(page, "alice")
    await page.get_by_role("button", name="Log out").click()
    await page.get_by_role("button", name="Yes, sign me out").click()  # the provider's question
    await page.wait_for_url(f"{url}/logged-out**")
    await look(story, "logged-out")
    await page.goto(f"{url}/hpc")
    await page.get_by_role("button", name="Log in at Example HPC").click()
    await page.get_by_placeholder("Enter any login").wait_for()


async def test_who_says_no_at_the_provider_is_told_that_nothing_happened(story: Story) -> None:
    page, url = story.page, story.alise.url
    await page.goto(f"{url}/hpc")
    await page.get_by_role("button", name="Log in at Example HPC").click()
    await page.get_by_role("link", name="Cancel").click()
    await page.get_by_text("Nothing was changed").wait_for()
    await look(story, "declined")


async def test_the_whole_story_with_the_keyboard_only(story: Story) -> None:
    page, url = story.page, story.alise.url
    await page.goto(url)
    await press_on(page, "Example HPC")
    await press_on(page, "Log in at Example HPC")
    await type_login(page, "alice")
    await page.wait_for_url(f"{url}/hpc")
    await press_on(page, "Link EGI Check-in")
    await press_on(page, "Log in at EGI Check-in")
    await type_login(page, "e9c37aa@egi.eu")
    await page.wait_for_url(f"{url}/hpc/confirm")
    await press_on(page, "Yes, link them")
    await press_on(page, "See my links")
    await press_on(page, "Unlink")
    await page.wait_for_url("**/unlink/**")
    await press_on(page, "Unlink")
    await page.get_by_text("no longer linked").wait_for()
    assert await story.alise.all_links() == []


async def test_everything_works_without_javascript(story: Story) -> None:
    browser = story.page.context.browser
    assert browser
    context = await browser.new_context(ignore_https_errors=True, java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{story.alise.url}/hpc")
    await page.get_by_role("button", name="Log in at Example HPC").click()
    await at_provider(page, "alice")
    await page.get_by_role("heading", name="My links").wait_for()
    await context.close()


async def press_on(page: Page, name: str) -> None:
    """Tab until the focus is on what is called so, and see it there; then Enter."""
    await page.wait_for_load_state("load")
    for _ in range(40):
        await page.keyboard.press("Tab")
        said = await page.evaluate("document.activeElement.innerText || ''")
        if name in said:
            outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"focus on {name!r} cannot be seen"
            async with page.expect_navigation():
                await page.keyboard.press("Enter")
            return
    raise AssertionError(f"no way to {name!r} with the Tab key at {page.url}")


async def type_login(page: Page, login: str) -> None:
    await page.get_by_placeholder("Enter any login").wait_for()
    await page.get_by_placeholder("Enter any login").focus()  # the provider's page, not ours
    await page.keyboard.type(login)
    await page.keyboard.press("Tab")
    await page.keyboard.type("anything")
    await page.keyboard.press("Enter")
