"""An issuer, a table of identities that maps it to real accounts, and the authority between them."""

import pwd
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teapot.configuration import Accounts, Issuer, StorageArea
from tests.authority.issuer import TestIssuer
from tests.authority.process import Authority, Gateway, Spawner, mapped, settings

Start = Callable[..., Authority]

HOME = StorageArea(name="home", path="/home", root="/home/{user}")


@pytest.fixture
def issuer() -> Iterator[TestIssuer]:
    with TestIssuer() as issuer:
        yield issuer


@pytest.fixture
def users_map(tmp_path: Path, account: str) -> Path:
    path = tmp_path / "users.map"
    path.write_text(f"{account} alice-at-home\n")
    return path


@pytest.fixture(scope="session")
def account() -> str:
    """A real account of this machine that may be served if the policy is lenient: no test here becomes it."""
    return next(entry.pw_name for entry in pwd.getpwall() if entry.pw_name in ("games", "man", "www-data"))


@pytest.fixture
def policy() -> Accounts:
    return Accounts(minimum_uid=1, nologin="allow", denied=("root",), denied_groups=("root", "shadow"))


@pytest.fixture
def begin(tmp_path: Path, policy: Accounts) -> Iterator[Start]:
    running: list[Authority] = []

    def start(secret: str = "", **more: Any) -> Authority:
        told = settings(**{"accounts": policy, **more})
        running.append(Authority(told, tmp_path / f"authority-{len(running)}.log", secret))
        return running[-1]

    yield start
    for authority in running:
        authority.__exit__(None, None, None)


@pytest.fixture
def authority(begin: Start, issuer: TestIssuer, users_map: Path) -> Authority:
    return begin(issuers=(Issuer(url=issuer.url, profile="wlcg"),), mapping=mapped(users_map), areas=(HOME,))


@pytest.fixture
def spawner(authority: Authority) -> Spawner:
    return authority.spawner()


@pytest.fixture
def gateway(authority: Authority, spawner: Spawner) -> Gateway:
    return authority.gateway()
