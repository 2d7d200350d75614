"""`teapot demo` does the whole job, leaves nothing behind, and prints no token."""

import pwd
import re
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from tests.service.accounts import Account
from tests.service.clients import direct_environment
from tests.service.teapot_process import TEAPOT

TIMEOUT_S = 60


def run(**who: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [TEAPOT, "demo"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        cwd="/",
        env=direct_environment(),
        **who,
    )


@pytest.fixture
def as_alice_alone(alice: Account) -> dict[str, object]:
    return {"user": alice.uid, "group": alice.gid, "extra_groups": ()}


def demo_directories() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("teapot-demo-*"))


def test_the_demo_of_an_ordinary_user_succeeds_and_leaves_nothing(as_alice_alone: dict[str, object]) -> None:
    before = demo_directories()
    done = run(**as_alice_alone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert demo_directories() == before


def test_the_demo_of_root_runs_as_an_account_that_is_gone_afterwards(root: None) -> None:
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    (name,) = re.findall(r"temporary account (teapot-demo-\d+)", done.stdout)
    assert name not in {entry.pw_name for entry in pwd.getpwall()}


def test_the_demo_prints_no_token(as_alice_alone: dict[str, object]) -> None:
    done = run(**as_alice_alone)
    assert "eyJ" not in done.stdout + done.stderr


def test_a_demo_that_is_told_to_end_leaves_nothing(as_alice_alone: dict[str, object], alice: Account) -> None:
    before = demo_directories()
    demo = subprocess.Popen([TEAPOT, "demo"], stdout=subprocess.PIPE, text=True, env=direct_environment(), **as_alice_alone)  # type: ignore[call-overload]
    assert demo.stdout is not None
    for line in demo.stdout:
        if "Upload" in line:
            break
    demo.terminate()
    demo.communicate(timeout=TIMEOUT_S)
    deadline = time.monotonic() + 10
    while _processes_of(alice) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _processes_of(alice)
    assert demo_directories() == before


def test_a_machine_without_curl_is_told_so(as_alice_alone: dict[str, object]) -> None:
    done = subprocess.run([TEAPOT, "demo"], capture_output=True, text=True, env={"PATH": "/nonexistent"}, **as_alice_alone)  # type: ignore[call-overload]
    assert done.returncode == 1 and "curl" in done.stderr and "Traceback" not in done.stderr


def _processes_of(account: Account) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["uids"]) if one.info["uids"] and one.info["uids"].real == account.uid]
