"""What axe-core finds wrong with a page, by the rules of WCAG 2.2 AA and its best practices."""

from typing import Any

from playwright.async_api import Page

from tests.alise.providers.node_packages import node_packages

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


async def violations(page: Page) -> list[Any]:
    source = (node_packages() / "node_modules/axe-core/axe.min.js").read_text()
    await page.evaluate(f"{source}; undefined")  # evaluated by the debugger: the page's policy allows no script
    found = await page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]
