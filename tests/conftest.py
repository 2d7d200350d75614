"""Fixtures for tests of the whole service. A test that leaves a process, a socket file or an account behind fails."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teapot.demo.certificates import CertificateAuthority, ServerFiles
from teapot.demo.issuer import Issuer
from tests.service import accounts
from tests.service.accounts import Account
from tests.service.ledger import Ledger

_ledger = pytest.StashKey[Ledger]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """An ordinary user runs the tests that need no accounts; pytest says how many were left out. CI must be root."""
    if os.getuid() == 0:
        return
    if os.environ.get("CI"):
        raise pytest.UsageError("the tests make accounts and serve several of them: in CI they run as root")
    need_root = [item for item in items if "root" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=need_root)
    items[:] = [item for item in items if item not in need_root]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """A failure shows what the Teapots that run have said last."""
    report = yield
    ledger = item.config.stash.get(_ledger, None)
    if report.failed and ledger:
        for teapot in ledger.teapots:
            report.sections.append((f"log of the Teapot in {teapot.directory.name}", teapot.log_end()))
    return report


@pytest.fixture(scope="session")
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    ledger = Ledger()
    request.config.stash[_ledger] = ledger
    yield ledger
    ledger.close()


@pytest.fixture(autouse=True)
def nothing_left_over(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    ledger = request.config.stash.get(_ledger, None)
    if ledger:
        left = ledger.left_over()
        ledger.end_stray_processes()
        assert not left, f"left over: {left}"


@pytest.fixture(autouse=True)
def the_umask_stays() -> Iterator[None]:
    """Of another umask, files that later tests write for service accounts could not be read by them."""
    before = _umask()
    yield
    after = _umask()
    os.umask(before)
    assert after == before, f"the umask was {before:04o} and is {after:04o}"


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


@pytest.fixture(scope="session")
def root() -> None:
    """What needs this is left out when an ordinary user runs the tests."""
    assert os.getuid() == 0


@pytest.fixture(scope="session")
def account_session(root: None, ledger: Ledger) -> Iterator[Ledger]:
    accounts.sweep()
    yield ledger
    for account in ledger.accounts:
        accounts.remove(account)


@pytest.fixture(scope="session")
def service_accounts(account_session: Ledger) -> dict[str, Account]:
    """By the configuration key that names them."""
    roles = {"account": "teapot", "authority_account": "authority", "observer_account": "observer", "spawner_account": "spawner"}
    made = {key: accounts.create_service(nickname) for key, nickname in roles.items()}
    account_session.accounts += made.values()
    return made


def _person(session: Ledger, nickname: str) -> Account:
    homes = session.ground / "home"
    homes.mkdir(exist_ok=True)
    homes.chmod(0o755)
    account = accounts.create_person(nickname, homes)
    session.accounts.append(account)
    return account


@pytest.fixture(scope="session")
def alice(account_session: Ledger) -> Account:
    return _person(account_session, "alice")


@pytest.fixture(scope="session")
def bob(account_session: Ledger) -> Account:
    return _person(account_session, "bob")


@pytest.fixture(scope="session")
def vo_demo(account_session: Ledger) -> Account:
    return _person(account_session, "vo-demo")


@pytest.fixture(scope="session")
def certificate_authority() -> CertificateAuthority:
    return CertificateAuthority("Teapot test CA")


@pytest.fixture(scope="session")
def ca(certificate_authority: CertificateAuthority, ledger: Ledger) -> Path:
    path = certificate_authority.write(ledger.ground / "ca.pem")
    path.chmod(0o644)
    return path


@pytest.fixture(scope="session")
def server_files(certificate_authority: CertificateAuthority, ledger: Ledger) -> ServerFiles:
    """Certificate and key for everything that a test lets listen on localhost."""
    return certificate_authority.issue(ledger.ground, "localhost")


@pytest.fixture(scope="session")
def issuer(server_files: ServerFiles) -> Iterator[Issuer]:
    with Issuer(server_files) as issuer:
        yield issuer


@pytest.fixture(scope="session")
def second_issuer(server_files: ServerFiles) -> Iterator[Issuer]:
    with Issuer(server_files, path="/realms/second") as issuer:
        yield issuer
