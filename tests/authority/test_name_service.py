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



@pytest.mark.parametrize("number", [1000, 65_000])
def test_an_account_may_be_in_very_many_groups(number: int) -> None:
    """What is asked is a process of its own: it reads another /etc/group."""
    program = (
        "import ctypes, os; from pathlib import Path; from teapot.kernel import name_service;"
        "ctypes.CDLL(None).unshare(0x20000); ctypes.CDLL(None).mount(None, b'/', None, 1 << 18 | 1 << 14, None);"
        "Path('/dev/shm/group').write_text(''.join(f'g{each}:x:{each}:root\\n' for each in range(1, NUMBER)));"
        "assert not ctypes.CDLL(None).mount(b'/dev/shm/group', b'/etc/group', None, 4096, None);"
        "os.unlink('/dev/shm/group');"
        "assert name_service.groups('root', 0) == tuple(range(NUMBER)), name_service.groups('root', 0)"
    )
    subprocess.run([sys.executable, "-c", program.replace("NUMBER", str(number))], check=True)
