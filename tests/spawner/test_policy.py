"""Whose account may be served at all: looked up again by the child that is to become it."""

import pytest

from tests.service.accounts import Account
from tests.spawner.conftest import StartSpawner
from tests.spawner.stage import allow


def _policy(alice: Account) -> dict[str, dict[str, object]]:
    return {
        "a uid below the floor": {"minimum_uid": alice.uid + 1},
        "a gid below the floor": {"minimum_gid": alice.gid + 1},
        "a denied account": {"denied": (alice.name,)},
        "a member of a denied group": {"denied_groups": (alice.name,)},
    }


@pytest.mark.parametrize("what", ["a uid below the floor", "a gid below the floor", "a denied account", "a member of a denied group"])
def test_an_account_against_the_policy_gets_no_worker(start_spawner: StartSpawner, alice: Account, what: str) -> None:
    spawner = start_spawner(None, _policy(alice)[what])
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(alice.name))
    assert spawner.refused(gateway, alice.name) == "account_refused"


@pytest.mark.parametrize("name", ["root", "daemon", "no-such-account", "", "-1", "0", "a b", "../alice", "alice\0root", "x" * 250])
def test_what_is_no_account_or_none_of_a_person_gets_no_worker(start_spawner: StartSpawner, name: str) -> None:
    spawner = start_spawner()
    authority, gateway = spawner.peer("authority"), spawner.peer("gateway")
    authority.say(allow(name))
    assert spawner.refused(gateway, name) == "account_refused"


def test_an_account_without_a_login_shell_is_served_where_the_site_allows_it(start_spawner: StartSpawner, nologin: Account) -> None:
    refusing, allowing = start_spawner(), start_spawner(None, {"nologin": "allow"})
    for spawner in (refusing, allowing):
        spawner.peer("authority").say(allow(nologin.name))
    assert refusing.refused(refusing.peer("gateway"), nologin.name) == "account_refused"
    assert allowing.reach(allowing.peer("gateway"), nologin.name).serves()
