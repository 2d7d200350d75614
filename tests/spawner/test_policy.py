"""Who is never served, whatever the authority allows: the spawner's child looks the account up and judges it itself."""

import subprocess
from collections.abc import Iterator

import pytest

from teapot.configuration import Accounts
from tests.service.accounts import Account
from tests.spawner.conftest import StartSpawner
from tests.spawner.process import Spawner, until


@pytest.fixture
def extra_group() -> Iterator[str]:
    name = "tp-denied"
    subprocess.run(["groupadd", "--force", name], check=True, capture_output=True)
    yield name
    subprocess.run(["groupdel", name], check=True, capture_output=True)


def _answer(spawner: Spawner, account: str) -> str:
    authority, gateway = spawner.authority(), spawner.gateway()
    authority.allow(gateway.number, account)
    reached = gateway.reach(account)
    if reached.channel:
        return "served" if reached.channel.answer("HEAD") else ""
    until(lambda: not spawner.workers())
    return reached.reason


@pytest.mark.parametrize("name", ["root", "daemon", "nobody", "nobody-by-that-name"])
def test_accounts_of_the_system_and_unknown_ones_are_refused(start_spawner: StartSpawner, name: str) -> None:
    assert _answer(start_spawner(), name) == "account_refused"


def test_the_floor_is_the_lowest_uid_that_is_served(start_spawner: StartSpawner, alice: Account) -> None:
    assert _answer(start_spawner(policy=Accounts(minimum_uid=alice.uid)), alice.name) == "served"
    assert _answer(start_spawner(policy=Accounts(minimum_uid=alice.uid + 1)), alice.name) == "account_refused"


def test_a_group_below_the_floor_is_refused(start_spawner: StartSpawner, alice: Account) -> None:
    assert _answer(start_spawner(policy=Accounts(minimum_gid=alice.gid + 1)), alice.name) == "account_refused"


def test_root_is_refused_whatever_the_policy_says(start_spawner: StartSpawner) -> None:
    policy = Accounts(minimum_uid=1, minimum_gid=1, denied=(), denied_groups=(), nologin="allow")
    assert _answer(start_spawner(policy=policy), "root") == "account_refused"


def test_a_denied_account_is_refused(start_spawner: StartSpawner, alice: Account) -> None:
    spawner = start_spawner(policy=Accounts(denied=("root", alice.name)))
    assert _answer(spawner, alice.name) == "account_refused"
    assert f"no worker for {alice.name!r}: account_refused: the account is one of accounts.denied" in spawner.log


def test_a_member_of_a_denied_group_is_refused(start_spawner: StartSpawner, alice: Account, extra_group: str) -> None:
    """Not served with a group less: permissions can take from a group as well as give."""
    policy = Accounts(denied_groups=("root", extra_group))
    assert _answer(start_spawner(policy=policy), alice.name) == "served"
    subprocess.run(["gpasswd", "--add", alice.name, extra_group], check=True, capture_output=True)
    assert _answer(start_spawner(policy=policy), alice.name) == "account_refused"


def test_an_account_without_a_login_is_refused_unless_the_site_allows_it(start_spawner: StartSpawner, alice: Account) -> None:
    subprocess.run(["usermod", "--shell", "/usr/sbin/nologin", alice.name], check=True, capture_output=True)
    try:
        assert _answer(start_spawner(), alice.name) == "account_refused"
        assert _answer(start_spawner(policy=Accounts(nologin="allow")), alice.name) == "served"
    finally:
        subprocess.run(["usermod", "--shell", "/bin/sh", alice.name], check=True, capture_output=True)


def test_a_refused_account_is_not_a_crash(start_spawner: StartSpawner) -> None:
    spawner = start_spawner()
    observer = spawner.observer()
    assert _answer(spawner, "root") == "account_refused"
    counts = observer.counts()
    assert (counts["ended_unexpectedly"], counts["refused_account_refused"], counts["started"]) == (0, 1, 0)
