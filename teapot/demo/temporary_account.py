"""For a demo that root starts: an ordinary account that exists as long as the demo does.

The demo shows the mode that needs no root, so it does not run as root either. What it starts is this very command, as that account.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

_USERADD_LOCKED = 1  # another useradd is at work
_ATTEMPTS = 20
_END_TIMEOUT_S = 60


class NoAccount(Exception):
    """The text says why there is none, and what to do."""


def run_as_ordinary_account(arguments: Sequence[str]) -> int:
    with _temporary_account() as name:
        print(f"Started by root: the demo runs as the temporary account {name}, which is removed afterwards.", flush=True)
        return _run([sys.executable, "-I", "-m", "teapot.demo.run", *arguments], name)


def _run(command: list[str], account: str) -> int:
    """Its exit status; what ends us ends it first."""
    environment = {name: os.environ[name] for name in ("PATH", "TERM", "LANG") if name in os.environ}
    try:
        process = subprocess.Popen(command, cwd="/", user=account, group=account, extra_groups=(), env=environment)
    except PermissionError as refused:
        raise NoAccount(f"an ordinary account cannot execute {sys.executable}: install Teapot where everybody can read it") from refused
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_TIMEOUT_S)
            process.kill()


@contextlib.contextmanager
def _temporary_account() -> Iterator[str]:
    for tool in ("useradd", "userdel"):
        if not shutil.which(tool):
            raise NoAccount(f"{tool} is missing: start the demo as an ordinary user")
    name = f"teapot-demo-{os.getpid()}"
    _account_command("useradd", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/sh", name)
    try:
        yield name
    finally:
        _account_command("userdel", name)


def _account_command(*command: str) -> None:
    for _ in range(_ATTEMPTS):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != _USERADD_LOCKED:
            break
        time.sleep(0.2)
    if done.returncode:
        raise NoAccount(f"{' '.join(command)}: {done.stderr.strip()}")
