"""PAM's account phase: the site's own rules of expiry, access and time, asked before a worker is born and while it lives."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teapot.configuration import Accounts
from teapot.spawner.refusals import REMEMBERED_S
from tests.service.accounts import Account
from tests.spawner.conftest import StartSpawner
from tests.spawner.process import Spawner, until

SERVICE = f"teapot-test-{os.getpid()}"
Rules = Callable[[str], Accounts]


@pytest.fixture
def rules() -> Iterator[Rules]:
    """Writes the account lines of a PAM service; the policy asks it."""
    path = Path("/etc/pam.d", SERVICE)

    def write(lines: str, recheck_s: float = 30.0) -> Accounts:
        path.write_text(lines + "\n")
        path.chmod(0o644)
        return Accounts(pam_service=SERVICE, recheck_s=recheck_s)

    yield write
    path.unlink(missing_ok=True)


@pytest.fixture
def shadow(alice: Account) -> Iterator[Callable[..., None]]:
    """chage for alice; undone afterwards."""

    def chage(*arguments: str) -> None:
        subprocess.run(["chage", *arguments, alice.name], check=True, capture_output=True)

    yield chage
    chage("-E", "-1", "-d", "2026-01-01", "-M", "99999")


@pytest.fixture
def table_of() -> Iterator[Callable[[str], Path]]:
    """A module's table, where every process may read it."""
    path = Path("/etc/security", SERVICE)

    def write(text: str) -> Path:
        path.write_text(text)
        path.chmod(0o644)
        return path

    yield write
    path.unlink(missing_ok=True)


def _answer(spawner: Spawner, account: str) -> str:
    authority, gateway = spawner.authority(), spawner.gateway()
    authority.allow(gateway.number, account)
    reached = gateway.reach(account)
    if reached.channel:
        return "served" if reached.channel.answer("HEAD") else ""
    return reached.reason


def test_an_account_that_has_expired_is_refused(
    start_spawner: StartSpawner, rules: Rules, alice: Account, shadow: Callable[..., None]
) -> None:
    policy = rules("account required pam_unix.so")
    assert _answer(start_spawner(policy=policy), alice.name) == "served"
    shadow("-E", "1")
    spawner = start_spawner(policy=policy)
    assert _answer(spawner, alice.name) == "account_refused"
    assert "PAM: the account has expired (accounts.pam_service)" in spawner.log


def test_an_account_whose_password_has_expired_is_refused(
    start_spawner: StartSpawner, rules: Rules, alice: Account, shadow: Callable[..., None]
) -> None:
    shadow("-d", "0")
    assert _answer(start_spawner(policy=rules("account required pam_unix.so")), alice.name) == "account_refused"


def test_a_locked_password_locks_no_account(start_spawner: StartSpawner, rules: Rules, alice: Account) -> None:
    """As for sshd with a key: `passwd -l` is about the password, `chage -E 0` about the account."""
    subprocess.run(["passwd", "-l", alice.name], check=True, capture_output=True)
    assert _answer(start_spawner(policy=rules("account required pam_unix.so")), alice.name) == "served"


def test_pam_access_says_who_may_come_by_this_door(
    start_spawner: StartSpawner, rules: Rules, alice: Account, bob: Account, table_of: Callable[[str], Path]
) -> None:
    table = table_of(f"- : {alice.name} : teapot\n+ : ALL : ALL\n")
    spawner = start_spawner(policy=rules(f"account required pam_access.so accessfile={table}"))
    assert _answer(spawner, alice.name) == "account_refused"
    assert _answer(spawner, bob.name) == "served"


def test_pam_time_says_when(
    start_spawner: StartSpawner, rules: Rules, alice: Account, bob: Account, table_of: Callable[[str], Path]
) -> None:
    table = table_of(f"{SERVICE};*;{alice.name};!Al0000-2400\n")
    spawner = start_spawner(policy=rules(f"account required pam_time.so conffile={table}"))
    assert _answer(spawner, alice.name) == "account_refused"
    assert _answer(spawner, bob.name) == "served"


def test_an_account_that_expires_is_served_no_more_within_a_round(
    start_spawner: StartSpawner, rules: Rules, alice: Account, shadow: Callable[..., None]
) -> None:
    spawner = start_spawner(policy=rules("account required pam_unix.so", recheck_s=0.3))
    assert _answer(spawner, alice.name) == "served"
    shadow("-E", "1")
    until(lambda: not spawner.workers(alice))
    assert f"account {alice.name} is served no more: PAM: the account has expired" in spawner.log


def test_a_refusal_is_remembered_for_a_moment_so_that_pam_is_not_asked_with_every_request(
    start_spawner: StartSpawner, rules: Rules, alice: Account, bob: Account, shadow: Callable[..., None]
) -> None:
    shadow("-E", "1")
    spawner = start_spawner(policy=rules("account required pam_unix.so"))
    authority, gateway = spawner.authority(), spawner.gateway()
    for account in (alice, bob):
        authority.allow(gateway.number, account.name)
    assert [gateway.reach(alice.name).reason for _ in range(10)] == ["account_refused"] * 10
    assert spawner.log.count("no worker for") == 1, "as often as a process was started for her"
    assert gateway.reach(bob.name).channel is not None
    shadow("-E", "-1")
    until(lambda: gateway.reach(alice.name).channel is not None, within_s=REMEMBERED_S + 2)


def test_an_account_that_was_ended_is_not_asked_for_anew_at_once(
    start_spawner: StartSpawner, rules: Rules, alice: Account, shadow: Callable[..., None]
) -> None:
    spawner = start_spawner(policy=rules("account required pam_unix.so", recheck_s=0.3))
    authority, gateway = spawner.authority(), spawner.gateway()
    authority.allow(gateway.number, alice.name)
    assert gateway.reach(alice.name).channel is not None
    shadow("-E", "1")
    until(lambda: f"account {alice.name} is served no more" in spawner.log)
    authority.allow(gateway.number, alice.name)
    assert gateway.reach(alice.name).reason == "account_refused"
    assert "no worker for" not in spawner.log


def test_who_cannot_be_judged_is_not_let_in_but_may_go_on(start_spawner: StartSpawner, rules: Rules, alice: Account, bob: Account) -> None:
    spawner = start_spawner(policy=rules("account required pam_permit.so", recheck_s=0.3))
    assert _answer(spawner, alice.name) == "served"
    Path("/etc/pam.d", SERVICE).unlink()
    until(lambda: "accounts.pam_service has no file" in spawner.log)
    assert _answer(spawner, bob.name) == "directory_unavailable"
    assert spawner.workers(alice)


def test_pam_that_hangs_for_one_account_stalls_that_one_only(
    start_spawner: StartSpawner, rules: Rules, alice: Account, bob: Account
) -> None:
    lines = f"account sufficient pam_succeed_if.so quiet user != {alice.name}\naccount required pam_exec.so /bin/sleep 3"
    spawner = start_spawner(policy=rules(lines), start_timeout_s=1.0)
    authority, gateway = spawner.authority(), spawner.gateway()
    for account in (alice, bob):
        authority.allow(gateway.number, account.name)
        gateway.ask(account.name)
    first, second = gateway.hear(), gateway.hear()
    assert (first.form.number, first.channel is not None) == (2, True)
    assert (second.form.number, second.reason) == (1, "directory_unavailable")
    _wait_for_sleepers()


def test_neither_pam_nor_the_group_of_shadow_is_in_a_worker(start_spawner: StartSpawner, rules: Rules, alice: Account) -> None:
    spawner = start_spawner(policy=rules("account required pam_unix.so"))
    assert _answer(spawner, alice.name) == "served"
    for process in (spawner.process.pid, spawner.worker(alice).pid):
        assert "libpam" not in Path(f"/proc/{process}/maps").read_text()
        assert os.stat("/etc/shadow").st_gid not in _groups(process)


def _groups(pid: int) -> list[int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return [int(group) for line in lines if line.startswith(("Gid:", "Groups:")) for group in line.split()[1:]]


def _wait_for_sleepers() -> None:
    title = b"teapot: account phase"
    until(lambda: not [path for path in Path("/proc").glob("[0-9]*/cmdline") if title in _command_line(path)])


def _command_line(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
