"""Builds a worker's cage in a forked child, with something left out or put in, and tells what comes of it."""

import contextlib
import os
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from teapot.kernel import credentials
from teapot.worker import cage
from tests.service.accounts import Account

Step = Callable[[], Any]
MEMORY, FILES = 1 << 30, 256


def nothing() -> None:
    pass


def become(account: Account) -> None:
    credentials.become_account(account.uid, account.gid, [account.gid])


def in_cage(
    account: Account, area: Path, work: Callable[[int], Any], *, become: Callable[[Account], Any] = become, before: Step = nothing
) -> Any:
    """What `work` returns in the cage, or the CageError or CredentialsError (as its text) of a cage that was not proven.

    become: how the child becomes the account; before: what happens between that and the cage.
    """

    def child() -> Any:
        os.environ.clear()
        become(account)
        root = os.open(area, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        before()
        try:
            cage.close([root], None, open_files=FILES, memory_bytes=MEMORY)
        except cage.CageError as refused:
            return f"CageError: {refused}"
        return work(root)

    return forked(child)


def forked(child: Step) -> Any:
    mine, its = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said: tuple[bool, Any] = True, child()
        except credentials.CredentialsError as refused:
            said = True, f"CredentialsError: {refused}"
        except BaseException:
            said = False, traceback.format_exc()
        with contextlib.suppress(OSError):
            os.write(its, pickle.dumps(said))
        os._exit(0)
    os.close(its)
    with os.fdopen(mine, "rb") as pipe:
        heard = pipe.read()
    os.waitpid(pid, 0)
    done, value = pickle.loads(heard)
    assert done, value
    return value


def errno_of(attempt: Step) -> int:
    """0: it succeeded."""
    try:
        attempt()
    except OSError as error:
        return int(error.errno or 0)
    return 0
