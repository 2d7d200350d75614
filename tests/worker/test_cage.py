"""What a worker cannot do once its cage is closed; and each way in which it could stay open is noticed."""

import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from teapot.kernel import credentials
from teapot.worker import cage
from tests.service.accounts import Account
from tests.service.ledger import Ledger
from tests.spawner.conftest import StartSpawner
from tests.spawner.stage import allow
from tests.worker.caged import Outcome, in_child

OPEN_FILES, MEMORY = 256, 1 << 30


def become(alice: Account) -> None:
    os.environ.clear()
    credentials.become_account(alice.uid, alice.gid, (alice.gid,))


def close(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    return cage.close([descriptor], None, open_files=OPEN_FILES, memory_bytes=MEMORY)


@pytest.fixture
def area(ledger: Ledger, alice: Account) -> Path:
    folder = ledger.folder("area")
    for name in ("one", "two"):
        (folder / name).mkdir()
        os.chown(folder / name, alice.uid, alice.gid)
    (folder / "one/file").write_bytes(b"x")
    os.chown(folder / "one/file", alice.uid, alice.gid)
    os.chown(folder, alice.uid, alice.gid)
    return folder


def caged(alice: Account, area: Path, work: Callable[[], object]) -> Outcome:
    def inside() -> object:
        become(alice)
        assert close(area) > 0, "this kernel has no Landlock: the proofs mean nothing"
        return work()

    return in_child(inside)


def test_inside_its_areas_a_worker_works(alice: Account, area: Path) -> None:
    def work() -> bytes:
        (area / "one/new").write_bytes(b"new")
        return (area / "one/file").read_bytes()

    assert caged(alice, area, work) == Outcome(b"x")


def test_across_the_folders_of_an_area_a_file_can_be_renamed(alice: Account, area: Path) -> None:
    assert caged(alice, area, lambda: os.rename(area / "one/file", area / "two/file")) == Outcome(None)


@pytest.mark.parametrize("path", ["/", "/etc/passwd", "/tmp", "/proc/self/environ", "/dev/shm", "/usr/bin/python3"])
def test_outside_its_areas_nothing_opens(alice: Account, area: Path, path: str) -> None:
    assert caged(alice, area, lambda: os.open(path, os.O_RDONLY)).error == "PermissionError"


def test_nothing_can_be_executed(alice: Account, area: Path) -> None:
    assert caged(alice, area, lambda: os.execv("/bin/true", ["true"])).error == "PermissionError"


@pytest.mark.parametrize("attempt", ["setuid", "setgid", "setgroups"])
def test_there_is_no_way_back_to_root(alice: Account, area: Path, attempt: str) -> None:
    calls = {"setuid": lambda: os.setuid(0), "setgid": lambda: os.setgid(0), "setgroups": lambda: os.setgroups([0])}
    assert caged(alice, area, calls[attempt]).error == "PermissionError"


def test_there_is_nothing_to_listen_on(alice: Account, area: Path) -> None:
    assert caged(alice, area, lambda: socket.create_server(("127.0.0.1", 0)).fileno()).error == "PermissionError"


def test_limits_are_hard(alice: Account, area: Path) -> None:
    def raise_limit() -> None:
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (OPEN_FILES, OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES + 1, OPEN_FILES + 1))

    assert caged(alice, area, raise_limit).error == "ValueError"


# --- a cage that does not close is noticed


def test_without_no_new_privileges_it_is_refused(area: Path) -> None:
    def open_cage() -> None:
        os.environ.clear()
        cage._prove({}, 0)

    assert in_child(open_cage) == Outcome(None, "CageError", "no_new_privs is not set")


def test_a_capability_that_is_left_is_noticed(area: Path) -> None:
    def open_cage() -> None:
        os.environ.clear()
        credentials.no_new_privileges()
        cage._prove({}, 0)

    assert in_child(open_cage) == Outcome(None, "CageError", "a capability is left")


def test_an_id_of_root_is_noticed(alice: Account, area: Path) -> None:
    def open_cage() -> None:
        os.environ.clear()
        os.setgroups([0, alice.gid])
        os.setresgid(alice.gid, alice.gid, alice.gid)
        os.setresuid(alice.uid, alice.uid, alice.uid)
        credentials.no_new_privileges()
        cage._prove({}, 0)

    assert in_child(open_cage) == Outcome(None, "CageError", "an id of root is left")


def test_an_environment_is_noticed(alice: Account, area: Path) -> None:
    def open_cage() -> None:
        become(alice)
        os.environ["LD_PRELOAD"] = "x"
        close(area)

    assert in_child(open_cage) == Outcome(None, "CageError", "the environment is not empty")


def test_a_limit_that_does_not_hold_is_noticed(alice: Account, area: Path) -> None:
    def open_cage() -> None:
        become(alice)
        cage._prove({resource.RLIMIT_NOFILE: 17}, 0)

    assert in_child(open_cage).error == "CageError"


def test_a_wall_with_a_hole_is_noticed(alice: Account) -> None:
    """Landlock on the root of everything walls nothing off."""

    def open_cage() -> None:
        become(alice)
        close(Path("/"))

    assert in_child(open_cage) == Outcome(None, "CageError", "/ can be opened")


def test_an_inherited_descriptor_is_noticed() -> None:
    def inherit() -> None:
        stranger = os.open("/dev/null", os.O_RDONLY)
        assert stranger == 3
        cage.prove_descriptors([])

    assert in_child(inherit, without_descriptors=True) == Outcome(None, "CageError", "inherited descriptors are open: [3]")


def test_a_worker_whose_proof_fails_serves_nobody(start_spawner: StartSpawner, alice: Account) -> None:
    spawner = start_spawner(area_root="/")
    spawner.peer("authority").say(allow(alice.name))
    assert spawner.refused(spawner.peer("gateway"), alice.name) == "worker_failed"
    assert "CageError: / can be opened" in spawner.log.read_text()
