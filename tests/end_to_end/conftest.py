"""The site that whole-service tests use: two people, a VO account, a visitor, five storage areas, two issuers."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teapot.demo.certificates import ServerFiles
from teapot.demo.issuer import Issuer
from tests.conftest import _person
from tests.service import toml
from tests.service.accounts import Account
from tests.service.ledger import Ledger
from tests.service.site import ALICE, BOB, Site, tables
from tests.service.teapot_process import Teapot
from tests.service.tokens import Tokens

StartTeapot = Callable[..., Teapot]


@pytest.fixture(scope="session")
def visitor(account_session: Ledger) -> Account:
    """As whom files are read for callers without a token."""
    return _person(account_session, "visitor")


@pytest.fixture(scope="session")
def site(
    ledger: Ledger,
    service_accounts: dict[str, Account],
    alice: Account,
    bob: Account,
    vo_demo: Account,
    visitor: Account,
    issuer: Issuer,
    second_issuer: Issuer,
    ca: Path,
    server_files: ServerFiles,
) -> Site:
    site = Site(ledger.folder("site"), alice, bob, vo_demo, visitor, service_accounts, issuer, second_issuer, ca, server_files)
    for owner, path, mode in (
        (alice, site.home_of(alice), 0o700),
        (bob, site.home_of(bob), 0o700),
        (vo_demo, site.vo, 0o750),
        (vo_demo, site.public, 0o755),
    ):
        path.mkdir(mode=mode)
        os.chown(path, owner.uid, owner.gid)
        path.chmod(mode)
    site.shared.mkdir()
    site.shared.chmod(0o1777)
    site.users.write_text(
        f"{alice.name} {ALICE} {issuer.url}\n{bob.name} {BOB} {issuer.url}\n{bob.name} bob-elsewhere {second_issuer.url}\n"
    )
    return site


@pytest.fixture(scope="module")
def start_teapot(ledger: Ledger, site: Site) -> Iterator[StartTeapot]:
    """start_teapot(changes, account=None): a Teapot of the module's own, stopped and checked at the module's end."""
    started: list[Teapot] = []

    def start(changes: toml.Tables | None = None, account: Account | None = None) -> Teapot:
        directory = ledger.folder("teapot")
        wanted = toml.changed(tables(site, directory), changes or {})
        teapot = Teapot(directory, wanted, site.ca, account)
        started.append(teapot)
        ledger.teapots.append(teapot)
        return teapot.start()

    yield start
    for teapot in started:
        teapot.stop()
        ledger.teapots.remove(teapot)


@pytest.fixture(scope="module")
def teapot(start_teapot: StartTeapot) -> Teapot:
    return start_teapot()


@pytest.fixture(scope="module")
def tokens(teapot: Teapot, issuer: Issuer) -> Tokens:
    return Tokens(issuer, teapot.url())


@pytest.fixture
def as_alice(tokens: Tokens) -> str:
    return tokens.of(ALICE)


@pytest.fixture
def as_bob(tokens: Tokens) -> str:
    return tokens.of(BOB)
