"""The life of workers as callers see it: changed groups, locked accounts, idleness, the maximum, two names of one person."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from teapot.configuration import Accounts
from tests.end_to_end.conftest import StartTeapot
from tests.service.clients import curl_arguments, direct_environment
from tests.service.site import ALICE, BOB, Site
from tests.service.teapot_process import Teapot, wait_for
from tests.service.tokens import Tokens

SEEN_WITHIN_S = 60.0  # what is promised of a change in the account directory


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def token_of(tokens: Tokens, subject: str, teapot: Teapot) -> str:
    return tokens.of(subject, aud=teapot.url())


@pytest.fixture(scope="module")
def watchful(start_teapot: StartTeapot) -> Teapot:
    """Looks at accounts every second, so that the tests need not wait for long."""
    return start_teapot({"accounts": {"recheck_s": 1.0}})


@pytest.fixture
def team(site: Site) -> Iterator[Path]:
    """A collection for the members of a group, which alice is not in yet."""
    group = f"tp-team-{os.getpid()}"
    _run("groupadd", group)
    folder = site.shared / "team"
    folder.mkdir()
    _run("chgrp", group, str(folder))
    folder.chmod(0o2770)
    yield folder
    _run("rm", "-r", str(folder))
    _run("groupdel", group)


def test_changes_of_accounts_are_looked_for_often_enough() -> None:
    assert Accounts().recheck_s <= SEEN_WITHIN_S / 2


def test_a_new_group_is_seen(watchful: Teapot, tokens: Tokens, site: Site, team: Path) -> None:
    token = token_of(tokens, ALICE, watchful)
    assert watchful.request("PUT", "/shared/team/file", token, b"x").status == 403
    _run("gpasswd", "--add", site.alice.name, team.group())
    wait_for(lambda: watchful.request("PUT", "/shared/team/file", token, b"x").status in (200, 201), 10, "the group is not seen")
    assert (team / "file").group() == team.group()


def test_a_group_that_was_taken_away_is_taken_from_the_worker(watchful: Teapot, tokens: Tokens, site: Site, team: Path) -> None:
    token = token_of(tokens, ALICE, watchful)
    _run("gpasswd", "--add", site.alice.name, team.group())
    wait_for(lambda: watchful.request("PUT", "/shared/team/file", token, b"x").status in (200, 201), 10, "the group is not seen")
    _run("gpasswd", "--delete", site.alice.name, team.group())
    wait_for(lambda: watchful.request("GET", "/shared/team/file", token).status == 403, 10, "the group is still there")


def test_a_locked_account_is_served_no_more_and_again_when_it_is_unlocked(watchful: Teapot, tokens: Tokens, site: Site) -> None:
    token = token_of(tokens, ALICE, watchful)
    assert watchful.request("PUT", "/home/locked", token, b"x").status in (200, 201)
    _run("usermod", "--shell", "/usr/sbin/nologin", site.alice.name)
    try:
        wait_for(lambda: watchful.request("GET", "/home/locked", token).status == 403, 10, "the account is still served")
        assert watchful.request("GET", "/home/locked", token).code == "account_not_served"
        wait_for(lambda: not [p for p in watchful.processes("worker") if p.uids().real == site.alice.uid], 10, "its worker is still there")
    finally:
        _run("usermod", "--shell", "/bin/sh", site.alice.name)
    wait_for(lambda: _served_anew(watchful, tokens), 10, "the account is not served again")


def _served_anew(teapot: Teapot, tokens: Tokens) -> bool:
    """With another token each time: a refusal is remembered by its token, for a minute."""
    token = tokens.of(ALICE, aud=teapot.url(), jti=str(time.monotonic()))
    return teapot.request("GET", "/home/locked", token).status == 200


def test_a_transfer_of_a_locked_account_is_cut(watchful: Teapot, tokens: Tokens, site: Site, tmp_path: Path) -> None:
    slow = SlowPut(watchful, token_of(tokens, ALICE, watchful), tmp_path, "/home/cut")
    wait_for(lambda: bool(watchful.processes("worker")), 10, "no worker was started")
    _run("usermod", "--shell", "/usr/sbin/nologin", site.alice.name)
    try:
        assert slow.status() not in (200, 201)
    finally:
        _run("usermod", "--shell", "/bin/sh", site.alice.name)
    assert not (site.home_of(site.alice) / "cut").exists()


class SlowPut:
    """curl sending 64 MiB at a rate at which that takes very long."""

    def __init__(self, teapot: Teapot, token: str, folder: Path, target: str) -> None:
        source = folder / "source"
        with source.open("wb") as file:
            file.truncate(64 << 20)
        command = ["curl", *curl_arguments(teapot.ca, folder, token), "--limit-rate", "1M", "-o", folder / "answer"]
        command += ["-w", "%{http_code}", "-T", source, teapot.url(target)]
        self._curl = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=direct_environment())

    def status(self) -> int:
        return int(self._curl.communicate(timeout=30)[0] or 0)

    def stop(self) -> None:
        self._curl.terminate()
        self._curl.wait()


@pytest.fixture(scope="module")
def small(start_teapot: StartTeapot) -> Teapot:
    """One worker at a time, and not for long."""
    return start_teapot({"worker": {"maximum": 1, "idle_timeout_s": 1.0}})


def test_an_idle_worker_ends_and_the_next_request_gets_a_new_one(small: Teapot, tokens: Tokens) -> None:
    token = token_of(tokens, ALICE, small)
    for _ in range(3):
        assert small.request("PUT", "/home/idle", token, b"x").status in (200, 201)
        wait_for(lambda: not small.processes("worker"), 8, "the worker does not end")


def test_requests_around_the_end_of_an_idle_worker_are_all_served(small: Teapot, tokens: Tokens) -> None:
    token = token_of(tokens, ALICE, small)
    statuses = []
    for hundredths in range(94, 108, 2):
        statuses.append(small.request("PROPFIND", "/home/", token, headers={"Depth": "0"}).status)
        time.sleep(hundredths / 100)
    assert set(statuses) == {207}


def test_at_the_maximum_an_idle_worker_makes_room(small: Teapot, tokens: Tokens) -> None:
    for subject in (ALICE, BOB, ALICE, BOB):
        assert small.request("PROPFIND", "/home/", token_of(tokens, subject, small), headers={"Depth": "0"}).status == 207


def test_at_the_maximum_with_nobody_idle_a_caller_is_told_when_to_come_back(small: Teapot, tokens: Tokens, tmp_path: Path) -> None:
    slow = SlowPut(small, token_of(tokens, ALICE, small), tmp_path, "/home/slow")
    try:
        time.sleep(1.5)
        answer = small.request("GET", "/home/", token_of(tokens, BOB, small))
        assert (answer.status, answer.code) == (503, "too_many_workers")
        assert int(answer.headers["retry-after"]) > 0
    finally:
        slow.stop()
    token = token_of(tokens, BOB, small)
    wait_for(lambda: small.request("GET", "/home/", token).status == 200, 10, "there is no room again")


@pytest.fixture
def alias(site: Site) -> Iterator[str]:
    name = site.alice.name.replace("alice", "alicia")
    usual = ["useradd", "--non-unique", "--uid", str(site.alice.uid), "--gid", str(site.alice.gid), "--no-create-home"]
    _run(*usual, "--home-dir", str(site.alice.home), "--shell", "/bin/sh", name)
    yield name
    _run("userdel", "--force", name)


def test_two_names_of_one_uid_share_a_worker(start_teapot: StartTeapot, tokens: Tokens, site: Site, alias: str, tmp_path: Path) -> None:
    users = site.directory / "two-names.map"
    users.write_text(f"{site.alice.name} {ALICE} {site.issuer.url}\n{alias} {BOB} {site.issuer.url}\n")
    teapot = start_teapot({"mapping": {"file": {"path": users}}})
    for subject in (ALICE, BOB):
        assert teapot.request("PUT", "/home/shared-by-names", token_of(tokens, subject, teapot), b"x").status in (200, 201)
    assert teapot.worker_of(site.alice)
