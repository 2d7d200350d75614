import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.service import accounts
from tests.service.accounts import Account
from tests.service.ledger import Ledger
from tests.spawner.stage import Stage, stage

StartSpawner = Callable[..., Stage]


@pytest.fixture
def start_spawner(ledger: Ledger, service_accounts: dict[str, Account]) -> Iterator[StartSpawner]:
    """start_spawner(worker settings, account policy), ended after the test."""
    with contextlib.ExitStack() as stack:

        def start(worker: dict[str, object] | None = None, accounts: dict[str, object] | None = None, area_root: str = "") -> Stage:
            ground = ledger.folder("spawner")
            return stack.enter_context(stage(ground, service_accounts["spawner_account"], worker or {}, accounts or {}, area_root))

        yield start


@pytest.fixture
def spawner(start_spawner: StartSpawner) -> Stage:
    return start_spawner()


@pytest.fixture(scope="session")
def nologin(account_session: Ledger) -> Account:
    homes = account_session.ground / "home"
    homes.mkdir(exist_ok=True)
    account = accounts.create_person("nologin", homes, shell="/usr/sbin/nologin")
    account_session.accounts.append(account)
    return account
