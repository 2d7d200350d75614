"""What glibc does not tell: a directory that was not there, and an account of which therefore only half is known."""

import grp
import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from teapot.kernel import name_service

NAMING = "passwd: sss files\ngroup: files [SUCCESS=merge] sss # LDAP\n"


@pytest.fixture
def sssd(tmp_path: Path) -> Iterator[socket.socket]:
    """Where SSSD would listen."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "nss"))
        listening.listen()
        yield listening


@pytest.fixture
def nsswitch(tmp_path: Path) -> Path:
    path = tmp_path / "nsswitch.conf"
    path.write_text(NAMING)
    return path


def test_while_sssd_is_there_answers_count(sssd: socket.socket, nsswitch: Path) -> None:
    with name_service.whole(str(nsswitch), sssd.getsockname()):
        answer = "whole"
    assert answer == "whole"


def test_without_sssd_nothing_is_even_asked(sssd: socket.socket, nsswitch: Path) -> None:
    place = sssd.getsockname()
    sssd.close()
    with pytest.raises(OSError, match="does not answer: Connection refused"), name_service.whole(str(nsswitch), place):
        pytest.fail("something was asked")


@pytest.mark.parametrize("accepted", [True, False])
def test_what_was_said_while_sssd_went_is_not_taken_for_an_answer(sssd: socket.socket, nsswitch: Path, accepted: bool) -> None:
    with pytest.raises(OSError, match="has ended meanwhile"), name_service.whole(str(nsswitch), sssd.getsockname()):
        if accepted:
            sssd.accept()[0].close()
        sssd.close()
        raise KeyError("so the account seems to be unknown")


def test_sssd_that_is_named_but_was_never_used_here_is_not_missed(nsswitch: Path) -> None:
    with name_service.whole(str(nsswitch), str(nsswitch.parent / "nss")):
        answer = "whole"
    assert answer == "whole"


@pytest.mark.parametrize("text", ["passwd: files\ngroup: files\nshadow: files sss\n", "# passwd: sss\npasswd: files # sss\n", None])
def test_sssd_that_tells_nothing_of_accounts_is_not_missed(sssd: socket.socket, nsswitch: Path, text: str | None) -> None:
    sssd.close()
    nsswitch.unlink() if text is None else nsswitch.write_text(text)
    with name_service.whole(str(nsswitch), str(nsswitch.parent / "nss")):
        answer = "whole"
    assert answer == "whole"


def test_accounts_and_groups_are_those_of_the_system() -> None:
    for entry in pwd.getpwall():
        found = name_service.passwd(entry.pw_name)
        assert found == (entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir, entry.pw_shell)
        assert name_service.groups(entry.pw_name, entry.pw_gid) == tuple(sorted(set(os.getgrouplist(entry.pw_name, entry.pw_gid))))
    for group in grp.getgrall():
        assert name_service.group_id(group.gr_name) == group.gr_gid
    assert name_service.passwd("no-such-account") is None
    assert name_service.groups("no-such-account", 1234) == (1234,)
    assert name_service.group_id("no-such-group") is None



def in_another_etc(file: str, make: str, then: str) -> None:
    """Runs `then` in a process of its own, for which /etc/FILE is what `make` has made as `path`."""
    program = f"""
import contextlib, ctypes, os, threading, time
from pathlib import Path
from teapot.kernel import name_service
libc, path = ctypes.CDLL(None, use_errno=True), Path("/dev/shm/name-service-{os.getpid()}")
{make}
assert libc.unshare(0x20000) == 0 and libc.mount(None, b"/", None, 1 << 18 | 1 << 14, None) == 0, ctypes.get_errno()
assert libc.mount(os.fsencode(path), b"/etc/{file}", None, 4096, None) == 0, ctypes.get_errno()
{then}
"""
    try:
        subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    finally:
        Path(f"/dev/shm/name-service-{os.getpid()}").unlink(missing_ok=True)


@pytest.mark.parametrize("number", [1000, 65_000])
def test_an_account_may_be_in_very_many_groups(root: None, number: int) -> None:
    make = f"path.write_text(''.join(f'g{{each}}:x:{{each}}:root\\n' for each in range(1, {number})))"
    in_another_etc("group", make, f"assert name_service.groups('root', 0) == tuple(range({number}))")


def test_a_group_may_have_very_many_members(root: None) -> None:
    make = "path.write_text('many:x:4711:' + ','.join(f'somebody{each}' for each in range(20_000)) + '\\n')"
    in_another_etc("group", make, "assert name_service.group_id('many') == 4711")


@pytest.mark.parametrize(
    ("file", "asked"), [("group", "groups('root', 0)"), ("group", "group_id('root')"), ("passwd", "passwd('root')")], ids=lambda one: one
)
def test_other_threads_run_while_a_directory_is_slow(root: None, file: str, asked: str) -> None:
    """os.getgrouplist() would stop them all."""
    then = f"""
asking = threading.Thread(target=lambda: name_service.{asked}, daemon=True)
asking.start()
ticks = [time.sleep(0.01) for _ in range(30)]
assert asking.is_alive()
while asking.is_alive():
    asking.join(0.01)
    with contextlib.suppress(OSError), open(os.open(path, os.O_WRONLY | os.O_NONBLOCK), "w") as answer:
        answer.write("root:x:0:\\n")
"""
    in_another_etc(file, "os.mkfifo(path)", then)
