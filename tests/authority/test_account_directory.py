"""A directory that hangs, fails or is slow: it delays only those who ask for that account, and only for a bounded
time.
"""

import asyncio
import threading
import time

import pytest

from teapot.authority import account_directory
from teapot.authority.account_directory import AccountDirectory, DirectoryUnavailable, Standing
from teapot.configuration import Accounts

POLICY = Accounts()


class Directory:
    """Answers, unless it is told to hang."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.hanging = threading.Event()
        self.released = threading.Event()
        self.failing = False

    def __call__(self, name: str, policy: Accounts) -> Standing:
        self.asked.append(name)
        if self.hanging.is_set():
            self.released.wait(20)
        if self.failing:
            raise OSError("the server is down")
        return Standing(name, "print", "")


async def test_a_directory_that_hangs_keeps_nobody_longer_than_their_patience_and_is_asked_once() -> None:
    directory = Directory()
    directory.hanging.set()
    accounts = AccountDirectory(POLICY, ask=directory, patience_s=0.2)
    started = time.monotonic()
    results = await asyncio.gather(*(accounts.standing("alice") for _ in range(50)), return_exceptions=True)
    assert all(isinstance(result, DirectoryUnavailable) for result in results)
    assert time.monotonic() - started < 1
    assert directory.asked == ["alice"]
    directory.released.set()
    await accounts.close()


async def test_one_account_that_hangs_delays_no_other() -> None:
    directory = Directory()
    directory.hanging.set()
    accounts = AccountDirectory(POLICY, ask=directory, patience_s=5)
    waiting = asyncio.create_task(accounts.standing("alice"))
    await asyncio.sleep(0.1)
    directory.hanging.clear()
    assert (await asyncio.wait_for(accounts.standing("bob"), 1)).name == "bob"
    directory.released.set()
    assert (await waiting).name == "alice"


async def test_a_hundred_accounts_that_hang_do_not_become_a_hundred_threads() -> None:
    directory = Directory()
    directory.hanging.set()
    accounts = AccountDirectory(POLICY, ask=directory, patience_s=0.2)
    before = threading.active_count()
    await asyncio.gather(*(accounts.standing(f"user{number}") for number in range(100)), return_exceptions=True)
    assert threading.active_count() - before <= 32
    directory.released.set()
    await accounts.close()


async def test_an_answer_is_remembered_and_used_while_the_directory_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = Directory()
    accounts = AccountDirectory(POLICY, ask=directory)
    await accounts.standing("alice")
    await accounts.standing("alice")
    assert directory.asked == ["alice"]
    monkeypatch.setattr(account_directory, "REMEMBERED_S", 0.0)
    directory.failing = True
    assert (await accounts.standing("alice")).fingerprint == "print", "stale, but better than nobody being served"
    with pytest.raises(DirectoryUnavailable, match="the server is down"):
        await accounts.standing("alice", fresh=True)
    monkeypatch.setattr(account_directory, "STALE_S", 0.0)
    with pytest.raises(DirectoryUnavailable):
        await accounts.standing("alice")


async def test_the_real_directory_says_who_is_served() -> None:
    accounts = AccountDirectory(POLICY)
    assert (await accounts.standing("root")).objection
    assert (await accounts.standing("no-such-account")).objection == "the directory does not know it"
    assert (await accounts.standing("../etc")).fingerprint == ""


async def test_the_number_of_remembered_accounts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_directory, "_MAX_REMEMBERED", 10)
    directory = Directory()
    accounts = AccountDirectory(POLICY, ask=directory)
    for number in range(30):
        await accounts.standing(f"user{number}")
    await accounts.standing("user29")
    await accounts.standing("user0")
    assert len(directory.asked) == 31
