"""The pages for people are for all of them: axe-core finds nothing wrong, in light and dark, and nothing is wider than a small phone.

With TEAPOT_SCREENSHOTS=FOLDER, pictures of each.
"""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from tests.service.accessibility import violations
from tests.service.site import Site
from tests.service.teapot_process import Teapot

CHROMIUM = "/usr/bin/chromium"
SCREENS = {"desktop": (1100, 800), "phone": (375, 812)}
SIZES = {
    "calibration.json": 4_211,
    "detector geometry v12.root": 734_003_200,
    "run-000417.root": 2_147_483_648,
    "run-000418.root": 1_930_215_117,
    "README.md": 812,
    "checksums.adler32": 0,
    "a-name-that-somebody-has-made-very-long_" + "x" * 90 + ".tar.gz": 52_000,
}
SHOWN = ("areas", "listing", "empty", "not-found", "no-token")


@pytest.fixture
def shelf(site: Site) -> Iterator[Path]:
    """Folders and files as people have them."""
    shelf = site.home_of(site.alice) / "Beam test 2026"
    folders = [shelf, shelf / "plots", shelf / "raw data", shelf / "empty"]
    for folder in folders:
        folder.mkdir()
    for number, (name, size) in enumerate(SIZES.items()):
        (shelf / name).touch()
        os.truncate(shelf / name, size)
        os.utime(shelf / name, (1_780_000_000 + number * 7_654_321,) * 2)
    for path in (*folders, *(shelf / name for name in SIZES)):
        os.chown(path, site.alice.uid, site.alice.gid)
    yield shelf
    for name in SIZES:
        (shelf / name).unlink()
    for folder in reversed(folders):
        folder.rmdir()


@pytest.fixture
async def page(teapot: Teapot, as_alice: str) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = await chromium.new_context(
            ignore_https_errors=True, locale="en-GB", extra_http_headers={"Authorization": f"Bearer {as_alice}"}
        )
        yield await context.new_page()
        await chromium.close()


@pytest.mark.parametrize("name", SHOWN)
async def test_a_page_has_no_violation_in_light_or_dark_and_fits_a_phone(teapot: Teapot, page: Page, shelf: Path, name: str) -> None:
    paths = {"areas": "/", "listing": "/home/Beam%20test%202026/?sort=-size", "empty": "/home/Beam%20test%202026/empty/"}
    if name == "no-token":
        await page.context.set_extra_http_headers({})
    await page.goto(teapot.url(paths.get(name, "/home/no-such-file.root")))
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for screen, (width, height) in SCREENS.items():
            await page.set_viewport_size({"width": width, "height": height})
            assert await violations(page) == [], (scheme, screen)
            if folder := os.environ.get("TEAPOT_SCREENSHOTS"):
                await page.screenshot(path=f"{folder}/{name}-{screen}-{scheme}.png", full_page=True)
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
