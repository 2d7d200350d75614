"""Accounts that exist as long as a test session: the service's four, and people.

Their names end in the session's pid, so that sessions beside each other do not meet; what a killed session left is swept by the next.
"""

import os
import pwd
import re
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import psutil

PREFIX = "tp-"
PEOPLE_FROM, PEOPLE_TO = 20000, 29999
_TRY_AGAIN = {1, 10}  # useradd and userdel: another one is at work on passwd or group
_ATTEMPTS = 50


class Account(NamedTuple):
    name: str
    uid: int
    gid: int
    home: Path

    def run(self, *command: str, data: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        """As this account, with no groups but its own."""
        return subprocess.run(command, input=data, capture_output=True, user=self.uid, group=self.gid, extra_groups=(), cwd="/", timeout=60)


def create_person(nickname: str, homes: Path, shell: str = "/bin/sh") -> Account:
    """With a home of its own that nobody else may enter."""
    name, home = _name(nickname), homes / nickname
    limits = [f"--key={key}={value}" for key, value in _people_limits()]
    _run("useradd", "--user-group", "--no-create-home", *limits, "--home-dir", str(home), "--shell", shell, name)
    account = _found(name)
    home.mkdir(mode=0o700)
    os.chown(home, account.uid, account.gid)
    return account


def create_alias(nickname: str, of: Account) -> Account:
    """Another name with the same ids, as directories with several spellings have it."""
    name = _name(nickname)
    ids = ["--non-unique", "--uid", str(of.uid), "--gid", str(of.gid)]
    _run("useradd", *ids, "--no-create-home", "--home-dir", str(of.home), "--shell", "/bin/sh", name)
    return _found(name)


def create_service(nickname: str) -> Account:
    name = _name(nickname)
    _run("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", name)
    return _found(name)


def remove(account: Account) -> None:
    """Fails while a process of the account is left."""
    _run("userdel", account.name)


def sweep() -> None:
    """Accounts of sessions that were killed."""
    for entry in pwd.getpwall():
        match = re.fullmatch(rf"{PREFIX}[a-z-]+-(\d+)", entry.pw_name)
        if match and not psutil.pid_exists(int(match[1])):
            _run("userdel", "--force", entry.pw_name)


def _name(nickname: str) -> str:
    return f"{PREFIX}{nickname}-{os.getpid()}"


def _people_limits() -> list[tuple[str, int]]:
    return [("UID_MIN", PEOPLE_FROM), ("UID_MAX", PEOPLE_TO), ("GID_MIN", PEOPLE_FROM), ("GID_MAX", PEOPLE_TO)]


def _found(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return Account(name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir))


def _run(*command: str) -> None:
    for _ in range(_ATTEMPTS):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode not in _TRY_AGAIN:
            break
        time.sleep(0.1)
    assert done.returncode == 0, f"{command}: {done.stderr}"
