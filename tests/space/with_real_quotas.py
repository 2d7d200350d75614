"""Quotas of users, groups and projects on a real file system (TEAPOT_TEST_QUOTA): run by tests/uml in a kernel that has them."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teapot.channel.worker_messages import Request
from teapot.configuration import StorageArea, Worker
from teapot.space import command
from teapot.space.amounts import Usage
from teapot.space.formats import COMMANDS, GOOD, read
from teapot.worker import fullness
from teapot.worker.area import Area
from teapot.worker.dispatch import Office
from teapot.worker.journal import Journal
from teapot.worker.refusal import Refusal
from tests.worker.caged import forked
from tests.worker_files.accounts import ALICE, PROJECT, as_account
from tests.worker_files.asking import Asker
from tests.worker_files.conftest import put
from tests.worker_files.file_systems import run

QUOTA = Path(os.environ.get("TEAPOT_TEST_QUOTA", "/nowhere"))
MIB = 1 << 20
PROJECT_ID = 77


@pytest.fixture
def root() -> Iterator[Path]:
    root = QUOTA / "alice"
    root.mkdir()
    os.chown(root, ALICE, ALICE)
    yield root
    for kind, number in (("-u", ALICE), ("-g", ALICE), ("-g", PROJECT), ("-P", PROJECT_ID)):
        run("setquota", kind, number, 0, 0, 0, 0, QUOTA)
    shutil.rmtree(root)


@pytest.fixture
def area(root: Path) -> Iterator[Area]:
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY)
    yield Area(StorageArea(name="area", path="/area", root=str(root)), descriptor)
    os.close(descriptor)


def told(area: Area) -> tuple[int, int]:
    """quota-used-bytes and quota-available-bytes, as alice is told."""
    body = as_account(lambda: Asker(area)("PROPFIND", b"", depth=b"0").body.decode(), groups=[PROJECT])
    found = re.findall(r"<D:quota-(used|available)-bytes>(\d+)<", body)
    values = {name: int(value) for name, value in found}
    return values["used"], values["available"]


def named_refusal(area: Area, attempt: Callable[[], object], length: int | None) -> str:
    def work() -> str:
        try:
            attempt()
        except Refusal as refusal:
            request = Request(1, "r", "PUT", "area", b"f", False, 7, {}, length=length)
            return fullness.named(refusal, Office({"area": area}, Journal(None), Worker()), request).problem
        return ""

    return str(as_account(work, groups=[PROJECT]))


def announce(area: Area, length: int) -> str:
    return named_refusal(area, lambda: put(area, b"large", bytes(length)), length)


def test_a_quota_of_the_account_is_what_is_told(area: Area) -> None:
    run("setquota", "-u", ALICE, 0, 4096, 0, 0, QUOTA)
    as_account(lambda: put(area, b"file", bytes(MIB)))
    used, available = told(area)
    assert MIB <= used < MIB + 65536
    assert used + available == 4 * MIB


def test_without_a_limit_it_is_the_file_system_that_is_told(area: Area) -> None:
    space = os.statvfs(QUOTA)
    assert told(area) == ((space.f_blocks - space.f_bfree) * space.f_frsize, space.f_bavail * space.f_frsize)


def test_a_soft_limit_alone_counts(area: Area) -> None:
    run("setquota", "-u", ALICE, 2048, 0, 0, 0, QUOTA)
    assert sum(told(area)) == 2 * MIB


def test_a_quota_of_the_group_counts_where_files_get_that_group(area: Area, root: Path) -> None:
    run("setquota", "-g", PROJECT, 0, 1024, 0, 0, QUOTA)
    assert sum(told(area)) > 2 * MIB
    os.chown(root, ALICE, PROJECT)
    root.chmod(0o2770)
    assert sum(told(area)) == MIB


def test_a_quota_of_the_directory_s_project_is_what_is_told(area: Area, root: Path) -> None:
    run("chattr", "+P", "-p", PROJECT_ID, root)
    run("setquota", "-P", PROJECT_ID, 0, 2048, 0, 0, QUOTA)
    assert sum(told(area)) == 2 * MIB


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        (("-u", ALICE, 0, 1024, 0, 0), "quota_exceeded"),
        (("-g", ALICE, 0, 1024, 0, 0), "group_quota_exceeded"),
        (("-u", ALICE, 0, 0, 0, 1), "files_quota_exceeded"),
        (("-g", ALICE, 0, 0, 0, 1), "group_files_quota_exceeded"),
        (("-P", PROJECT_ID, 0, 1024, 0, 0), "project_quota_exceeded"),
    ],
)
def test_a_refusal_names_what_is_full(area: Area, root: Path, limit: tuple[object, ...], problem: str) -> None:
    run("chattr", "+P", "-p", PROJECT_ID, root)
    run("setquota", *limit, QUOTA)
    assert announce(area, 3 * MIB) == problem
    assert os.listdir(root) == []


def test_a_body_of_unknown_length_is_refused_by_name_as_well(area: Area) -> None:
    run("setquota", "-g", ALICE, 0, 1024, 0, 0, QUOTA)

    def write() -> None:
        for number in range(60):
            put(area, b"file%d" % number, bytes(60_000))

    assert named_refusal(area, write, None) == "group_quota_exceeded"


def asked_of_quota() -> Usage:
    words = command.filled(COMMANDS["nfs"], {"{mount}": str(QUOTA)})
    found = as_account(lambda: read("nfs", command.printed(words, 10, GOOD["nfs"])))
    assert isinstance(found, Usage)
    return found


def test_what_quota_prints_is_understood(area: Area) -> None:
    assert asked_of_quota().limit is None
    run("setquota", "-u", ALICE, 0, 4096, 0, 0, QUOTA)
    as_account(lambda: put(area, b"file", bytes(MIB)))
    usage = asked_of_quota()
    assert usage.limit == 4 * MIB
    assert usage.used == told(area)[0]


def test_what_quota_prints_of_somebody_over_the_limit_is_understood(area: Area) -> None:
    as_account(lambda: put(area, b"file", bytes(MIB)))
    run("setquota", "-u", ALICE, 512, 768, 0, 0, QUOTA)
    usage = asked_of_quota()
    assert usage.used and usage.used > MIB
    assert usage.limit == 768 * 1024


def test_it_works_in_a_worker_s_cage(area: Area, root: Path) -> None:
    from teapot.kernel import credentials
    from teapot.worker import cage

    run("setquota", "-u", ALICE, 0, 4096, 0, 0, QUOTA)

    def caged() -> int:
        os.environ.clear()
        credentials.become_account(ALICE, ALICE, [ALICE])
        cage.close([area.root], None, open_files=256, memory_bytes=1 << 30)
        space = area.gauge.read(area.root)
        assert space
        return space.used + space.available

    assert forked(caged) == 4 * MIB
