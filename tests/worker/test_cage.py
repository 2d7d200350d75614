"""Each wall of a worker's cage: that it stands, and that a worker in which it does not stand dies instead of serving."""

import ctypes
import errno
import os
import resource
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from teapot.kernel import credentials, landlock
from teapot.worker import cage
from tests.service import proc
from tests.service.accounts import Account
from tests.spawner.process import Authority, Gateway, Spawner
from tests.worker.caged import FILES, MEMORY, become, errno_of, forked, in_cage

READ = os.O_RDONLY | os.O_CLOEXEC
_FAST_OPEN = 0x20000000


@pytest.fixture
def worker(spawner: Spawner, authority: Authority, gateway: Gateway, alice: Account) -> int:
    """One that serves: its pid."""
    authority.allow(gateway.number, alice.name)
    assert gateway.channel(alice.name).answer("HEAD")
    return spawner.worker(alice).pid


# --- a worker that serves, as the kernel sees it


def test_it_is_its_account_with_the_groups_of_the_directory_and_no_capability(worker: int, alice: Account) -> None:
    status = proc.status(worker)
    assert (set(status.uids), set(status.gids)) == ({alice.uid}, {alice.gid})
    assert set(status.groups) == set(os.getgrouplist(alice.name, alice.gid))
    assert (status.permitted, status.effective, status.inheritable, status.ambient) == (0, 0, 0, 0)
    assert status.no_new_privileges


def test_its_limits_are_set(worker: int) -> None:
    limits = {line[:26].strip(): line[26:].split()[:2] for line in Path(f"/proc/{worker}/limits").read_text().splitlines()[1:]}
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max open files"] == ["4096", "4096"]
    assert limits["Max data size"] == [str(1 << 30)] * 2


def test_it_holds_its_own_descriptors_only(worker: int, spawner: Spawner) -> None:
    names = {number: os.readlink(f"/proc/{worker}/fd/{number}") for number in os.listdir(f"/proc/{worker}/fd")}
    assert [names[number] for number in ("0", "1", "2")] == ["/dev/null"] * 3
    spawners = {os.readlink(f"/proc/{spawner.process.pid}/fd/{number}") for number in os.listdir(f"/proc/{spawner.process.pid}/fd")}
    assert not {name for name in names.values() if name.startswith("socket")} & spawners


# --- Landlock


def _seen_from(area: Path, alice: Account, *attempts: str) -> list[int]:
    """errno of opening each path in the cage."""
    return list(in_cage(alice, area, lambda root: [errno_of(lambda path=path: os.open(path, READ)) for path in attempts]))


def test_what_lies_outside_the_areas_cannot_be_opened(area: Path, alice: Account) -> None:
    own = area.parent / "own"
    own.write_text("alice's, but in no area")
    os.chown(own, alice.uid, alice.gid)
    paths = (str(own), "/", "/etc/passwd", "/dev/null", "/tmp", "/proc/self/maps", str(alice.home))
    assert _seen_from(area, alice, *paths) == [errno.EACCES] * len(paths)


def test_inside_an_area_files_are_made_and_moved_between_collections(area: Path, alice: Account) -> None:
    """Without the right to REFER a move between two collections would fail with EXDEV."""

    def work(root: int) -> list[str]:
        os.mkdir("a", dir_fd=root)
        os.mkdir("b", dir_fd=root)
        os.close(os.open("a/file", os.O_CREAT | os.O_WRONLY, dir_fd=root))
        os.rename("a/file", "b/file", src_dir_fd=root, dst_dir_fd=root)
        return os.listdir(os.open("b", READ, dir_fd=root))

    assert in_cage(alice, area, work) == ["file"]


def test_nothing_is_moved_or_linked_out_of_an_area(area: Path, alice: Account) -> None:
    outside = area.parent / "outside"
    outside.mkdir()
    os.chown(outside, alice.uid, alice.gid)

    def work(root: int) -> list[int]:
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=root))
        return [
            errno_of(lambda: os.rename("file", outside / "file", src_dir_fd=root)),
            errno_of(lambda: os.link("file", outside / "file", src_dir_fd=root)),
            errno_of(lambda: os.mkdir(outside / "new")),
            errno_of(lambda: os.symlink("x", outside / "new")),
        ]

    refused = in_cage(alice, area, work)
    assert set(refused) <= {errno.EACCES, errno.EXDEV}
    assert list(outside.iterdir()) == []


def test_no_program_is_executed_and_no_pipe_or_socket_is_made(area: Path, alice: Account) -> None:
    program = area / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    def work(root: int) -> list[int]:
        os.fchdir(os.open(".", READ, dir_fd=root))
        return [
            errno_of(lambda: os.execv("program", ["program"])),
            errno_of(lambda: os.execv("/bin/true", ["true"])),
            errno_of(lambda: os.mkfifo("fifo", dir_fd=root)),
            errno_of(lambda: os.mknod("socket", stat.S_IFSOCK, dir_fd=root)),
        ]

    assert in_cage(alice, area, work) == [errno.EACCES] * 4


def test_nobody_else_gets_a_signal(area: Path, alice: Account) -> None:
    if landlock.abi() < 6:  # older kernels do not know this right: nothing to hold against them
        return
    stranger = os.getpid()
    assert in_cage(alice, area, lambda root: errno_of(lambda: os.kill(stranger, 0))) in (errno.EACCES, errno.EPERM)


# --- sockets


def test_no_socket_is_made(area: Path, alice: Account) -> None:
    """By none of the ways past Landlock either: UDP, a path, Multipath TCP, TCP Fast Open, a listener without an address."""
    kinds = [
        (socket.AF_INET, socket.SOCK_STREAM, 0),
        (socket.AF_INET6, socket.SOCK_STREAM, 0),
        (socket.AF_INET, socket.SOCK_STREAM, 262),
        (socket.AF_INET, socket.SOCK_DGRAM, 0),
        (socket.AF_UNIX, socket.SOCK_STREAM, 0),
        (socket.AF_UNIX, socket.SOCK_DGRAM, 0),
        (socket.AF_NETLINK, socket.SOCK_RAW, 0),
    ]
    refused = in_cage(alice, area, lambda root: [errno_of(lambda kind=kind: socket.socket(*kind)) for kind in kinds])
    assert refused == [errno.EACCES] * len(kinds)


def test_a_socket_that_it_is_given_goes_nowhere_else(area: Path, alice: Account) -> None:
    """A connected one could be disconnected first."""
    given = [socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_UNIX)]

    def work(root: int) -> list[int]:
        where = [("127.0.0.1", 9), ("127.0.0.1", 9), "/run/nowhere"]
        connected = [errno_of(lambda one=one, to=to: one.connect(to)) for one, to in zip(given, where, strict=True)]
        opened = [errno_of(lambda: given[0].sendto(b"x", _FAST_OPEN, where[0])), errno_of(lambda: given[0].sendmsg([b"x"], (), _FAST_OPEN))]
        return [*connected, *opened, errno_of(lambda: given[0].bind(("127.0.0.1", 0)))]

    assert in_cage(alice, area, work) == [errno.EACCES] * 6


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC])
def test_no_pair_is_made_whose_ends_could_send_to_a_path(area: Path, alice: Account, kind: int) -> None:
    """systemd's notification socket, for example."""
    assert in_cage(alice, area, lambda root: errno_of(lambda: socket.socketpair(socket.AF_UNIX, kind))) == errno.EACCES


def test_a_pair_of_sockets_is_made_as_ever(area: Path, alice: Account) -> None:
    def work(root: int) -> bytes:
        one, other = socket.socketpair()
        one.send(b"x")
        return other.recv(10)

    assert in_cage(alice, area, work) == b"x"


def test_the_way_back_to_root_is_closed(area: Path, alice: Account) -> None:
    def work(root: int) -> list[int]:
        return [
            errno_of(lambda: os.setuid(0)),
            errno_of(lambda: os.setgid(0)),
            errno_of(lambda: os.setgroups([0])),
            errno_of(lambda: os.setgroups([])),
            errno_of(lambda: os.chroot("/")),
        ]

    assert in_cage(alice, area, work) == [errno.EPERM] * 5


# --- a wall that does not stand


def _ids_only(account: Account) -> None:
    """As an account, but with the privileges that root may regain by a set-uid program."""
    os.setgroups([account.gid])
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)


def _with_a_capability(account: Account) -> None:
    _prctl(8, 1)  # PR_SET_KEEPCAPS
    _ids_only(account)
    credentials.set_capabilities([credentials.CAP_KILL])
    credentials.no_new_privileges()


def _with_group_root(account: Account) -> None:
    os.setgroups([account.gid, 0])
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    credentials.no_new_privileges()


def _as_root(account: Account) -> None:
    credentials.set_capabilities(())
    credentials.no_new_privileges()


def _prctl(option: int, value: int) -> None:
    assert ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0


@pytest.mark.parametrize(
    ("become", "complaint"),
    [
        (_with_a_capability, "a capability is left"),
        (_with_group_root, "an id of root is left"),
        (_as_root, "an id of root is left"),
    ],
)
def test_a_worker_that_kept_a_privilege_dies(area: Path, alice: Account, become: Any, complaint: str) -> None:
    assert in_cage(alice, area, lambda root: "served", become=become) == f"CageError: {complaint}"


def test_a_worker_without_no_new_privs_dies(area: Path, alice: Account) -> None:
    """The kernel does not even take Landlock's rules of it."""
    with pytest.raises(AssertionError, match="LandlockError|no_new_privs"):
        in_cage(alice, area, lambda root: "served", become=_ids_only)


def test_a_worker_with_an_environment_dies(area: Path, alice: Account) -> None:
    told = in_cage(alice, area, lambda root: "served", before=lambda: os.environ.update(PATH="/bin"))
    assert told == "CageError: the environment is not empty"


def test_a_worker_whose_limits_cannot_be_set_dies(area: Path, alice: Account) -> None:
    lower = lambda: resource.setrlimit(resource.RLIMIT_DATA, (MEMORY // 2, MEMORY // 2))  # noqa: E731
    with pytest.raises(AssertionError, match="not allowed to raise maximum limit|CageError"):
        in_cage(alice, area, lambda root: "served", before=lower)


@pytest.mark.parametrize("opened", ["a file", "a socket"])
def test_a_worker_with_an_inherited_descriptor_dies(alice: Account, opened: str) -> None:
    def child() -> str:
        os.closerange(3, 3)
        owned = [int(name) for name in os.listdir("/proc/self/fd") if _is_open(int(name))]
        stranger = os.open("/etc/passwd", READ) if opened == "a file" else socket.socket().detach()
        become(alice)
        try:
            cage.prove_descriptors(owned)
        except cage.CageError as refused:
            return str(refused).replace(str(stranger), "N")
        return "served"

    assert forked(child) == "inherited descriptors are open: [N]"


def test_what_the_name_service_left_open_is_closed_and_what_the_worker_owns_is_kept() -> None:
    """SSSD's plug-in keeps a socket and its caches open; no worker started where people come from SSSD."""

    def child() -> str:
        owned = [int(name) for name in os.listdir("/proc/self/fd") if _is_open(int(name))]
        left = [os.open("/etc/passwd", READ), socket.socket().detach()]
        cage.close_others(owned)
        cage.prove_descriptors(owned)
        return f"{all(_is_open(one) for one in owned)} {any(_is_open(one) for one in left)}"

    assert forked(child) == "True False"


def _is_open(descriptor: int) -> bool:
    return errno_of(lambda: os.fstat(descriptor)) == 0


def test_a_worker_that_sees_a_file_outside_dies(alice: Account) -> None:
    """An area that is the whole file system is no cage: as if Landlock had taken the rules and not kept them."""
    assert in_cage(alice, Path("/"), lambda root: "served") == "CageError: / can be opened"


def test_an_account_that_does_not_have_the_groups_that_it_should_is_not_become(alice: Account) -> None:
    def child() -> None:
        libc_groups = os.getgroups
        credentials.become_account(alice.uid, alice.gid, [alice.gid, alice.gid + 1])
        assert set(libc_groups()) == {alice.gid, alice.gid + 1}
        credentials.become_account(alice.uid, alice.gid, [alice.gid])

    assert str(forked(child)).startswith("CredentialsError: cannot become")


@pytest.mark.parametrize(("uid", "gid", "groups"), [(0, 1000, []), (1000, 0, []), (1000, 1000, [0])])
def test_nobody_becomes_root_or_a_member_of_its_group(uid: int, gid: int, groups: list[int]) -> None:
    assert str(forked(lambda: credentials.become_account(uid, gid, groups))).startswith("CredentialsError: refusing to become")


def test_the_limit_of_open_files_holds(area: Path, alice: Account) -> None:
    def work(root: int) -> int:
        return errno_of(lambda: [os.dup(root) for _ in range(FILES)])

    assert in_cage(alice, area, work) == errno.EMFILE
