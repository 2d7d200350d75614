"""Commands of the site are bounded: in time, in length, in what they leave behind."""

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from teapot.space import command, mounts
from teapot.space.amounts import NotKnown


def shell(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


def test_its_output_is_had_and_nothing_of_our_environment_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    said = command.printed(("/usr/bin/env",), 5).decode()
    assert "PATH=/usr/sbin:/usr/bin:/sbin:/bin" in said
    assert "SECRET" not in said


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("sleep 60", "no answer in time"),
        ("exec >&-; sleep 60", "does not end"),
        ("sleep 60 & exit 0", "no answer in time"),
        ("yes", "more than"),
        ("echo 1; exit 3", "status 3"),
        ("kill -9 $$", "status -9"),
    ],
)
def test_one_that_hangs_floods_or_fails_says_so_soon(script: str, why: str) -> None:
    began = time.monotonic()
    with pytest.raises(NotKnown, match=why):
        command.printed(shell(script), 1.0)
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("program", ["/nowhere/lfs", "/etc/passwd", "/tmp"])
def test_one_that_cannot_be_run_says_so(program: str) -> None:
    with pytest.raises(NotKnown, match="cannot be run"):
        command.printed((program,), 5)


def test_what_it_has_started_ends_with_it(tmp_path: Path) -> None:
    with pytest.raises(NotKnown):
        command.printed(shell(f"sleep 61 & echo $! > {tmp_path}/pid; sleep 62"), 0.5)
    started = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while is_running(started) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(started)


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE



def test_another_good_status_is_good() -> None:
    assert command.printed(shell("echo over; exit 1"), 5, good=(0, 1)) == b"over\n"


def test_placeholders_are_replaced_once_and_only_by_what_is_a_word() -> None:
    values = {"{user}": "{root}", "{root}": "/data/a b", "{group}": "-g", "{mount}": ""}
    assert command.filled(("/bin/x", "--of={user}", "{root}"), values) == ("/bin/x", "--of={root}", "/data/a b")
    for bad in ("{group}", "{mount}", "{device}"):
        with pytest.raises(NotKnown):
            command.filled(("/bin/x", bad), values)


def test_the_mount_of_a_directory_is_told() -> None:
    proc = os.open("/proc/self", os.O_PATH)
    assert mounts.of(proc) == mounts.Mount("/proc", "proc")
    os.close(proc)


def test_the_interpreter_of_these_tests_is_left_alone() -> None:
    assert command.printed((sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid())"), 10) == b"True\n"
