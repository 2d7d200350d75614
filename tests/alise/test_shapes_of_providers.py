"""Providers as sites have them: one issuer for the site and for linking, or one that cannot say when a login was."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alise.login.provider import Provider
from teapot.demo.certificates import ServerFiles
from tests.alise.providers.made_provider import MadeProvider, made_provider
from tests.alise.providers.oidc_provider import free_port
from tests.alise.running import Browser, alise

ALICE = {"sub": "s-alice", "preferred_username": "alice"}


@asynccontextmanager
async def logged_in(folder: Path, files: ServerFiles, ca: Path, made: MadeProvider, described: list[Provider]) -> AsyncIterator[Browser]:
    async with alise(folder, free_port(), described, files, ca) as running:
        browser = Browser(running)
        assert (await browser.log_in(made, **ALICE)).status == 303
        yield browser
        await browser.http.close()


async def test_an_identity_of_the_sites_own_issuer_is_linked_and_taken_away_like_any_other(
    tmp_path: Path, server_files: ServerFiles, ca: Path
) -> None:
    async with made_provider() as made:
        site = Provider("site", made.issuer, "alise", "s", internal=True, username_claim="preferred_username")
        described = [site, Provider("home", made.issuer, "alise", "s", title="Home")]
        async with logged_in(tmp_path, server_files, ca, made, described) as browser:
            await browser.prove(made, "home", sub="ada")
            await browser.post("/site/confirm", {"decision": "link"})
            assert "/site/unlink/home?link=1" in (await browser.get("/site")).text
            assert (await browser.post("/site/unlink/home")).status == 303


async def test_a_silent_login_at_a_site_that_cannot_say_when_it_was_is_not_recent(
    tmp_path: Path, server_files: ServerFiles, ca: Path
) -> None:
    """Only where it was asked to let somebody choose an account, it has."""
    async with made_provider() as made:
        unsaid = ALICE | {"auth_time": None}
        site = Provider("site", made.issuer, "alise", "s", internal=True, username_claim="preferred_username", fresh_by="select")
        async with logged_in(tmp_path, server_files, ca, made, [site, Provider("ext", "https://ext.example", "alise", "s")]) as browser:
            await browser.log_in(made, **unsaid)
            handed_over = await browser.post("/site/link/ext")
            assert handed_over.leads_to.startswith(made.issuer) and "prompt=select_account" in handed_over.leads_to
            await browser.come_back(made, handed_over, "site", **unsaid)
            assert "Now log in with the account" in (await browser.get("/site/link/ext")).text
