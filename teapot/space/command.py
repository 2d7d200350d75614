"""Runs a site's command for its output: no shell, no input, an environment of our own, bounded in time and length.

Whoever calls this is the account that the command runs as. A command that does not end is killed with all that it has started, and not
waited for: one that hangs in the kernel ends when the storage lets it.
"""

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

from teapot.space.amounts import NotKnown

MOST_BYTES = 60_000
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
_PLACEHOLDER = re.compile(r"\{[a-z]+\}")
_TOLD = 200
_PAUSE_S, _FAREWELL_S = 0.005, 0.5


def filled(command: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """In one pass: what a placeholder stands for is never searched for placeholders. NotKnown."""
    return tuple(_PLACEHOLDER.sub(lambda match: _value(match[0], values), word) for word in command)


def _value(placeholder: str, values: Mapping[str, str]) -> str:
    value = values.get(placeholder, "")
    if not value or "\0" in value or value.startswith("-"):
        raise NotKnown(f"{placeholder} is {value!r} here")
    return value


def printed(command: Sequence[str], timeout_s: float, good: Sequence[int] = (0,)) -> bytes:
    """Its standard output. NotKnown: it cannot be run, took too long, printed too much, or ended with a status that is not `good`."""
    deadline = time.monotonic() + timeout_s
    running = _start(command)
    assert running.stdout
    try:
        output = _read(running.stdout.fileno(), deadline)
        status = _ended(running.pid, deadline)
    except NotKnown as failed:
        raise NotKnown(f"{command[0]}: {failed}") from failed
    finally:
        running.stdout.close()
        _kill(running)
    if status not in good:
        raise NotKnown(f"{command[0]} ended with status {status}: {ascii(output[-_TOLD:])}")
    return output


def _start(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    nowhere = subprocess.DEVNULL
    try:
        return subprocess.Popen(
            command, stdin=nowhere, stdout=subprocess.PIPE, stderr=nowhere, env=_ENVIRONMENT, cwd="/", start_new_session=True
        )
    except (OSError, ValueError) as error:
        raise NotKnown(f"{command[0]} cannot be run: {error}") from error


def _read(descriptor: int, deadline: float) -> bytes:
    output = bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(descriptor, selectors.EVENT_READ)
        while len(output) <= MOST_BYTES:
            if not ready.select(max(0.0, deadline - time.monotonic())):
                raise NotKnown("no answer in time")
            piece = os.read(descriptor, MOST_BYTES)
            if not piece:
                return bytes(output)
            output += piece
    raise NotKnown(f"more than {MOST_BYTES} bytes")


def _ended(pid: int, deadline: float) -> int:
    """Its status. It is not reaped yet, so that its number stays its own until its session has been killed."""
    while True:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if ended:
            return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        if time.monotonic() > deadline:
            raise NotKnown("it does not end")
        time.sleep(_PAUSE_S)


def _kill(running: "subprocess.Popen[bytes]") -> None:
    """The whole session: nothing of it outlives the question."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(running.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.wait(_FAREWELL_S)
