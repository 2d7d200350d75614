"""What the kernel and the file system say of space, in a worker's cage too. Real quotas: tests/uml."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from teapot.configuration import Space as Settings
from teapot.kernel import quota
from teapot.space import local
from teapot.space.amounts import NotKnown, Space
from teapot.worker.area import Area
from tests.worker_files.accounts import ALICE, as_account
from tests.worker_files.asking import Asker

MIB = 1 << 20  # XFS gives back and sets aside by itself
ROOM = Space(700, 300)


def told(area: Area, *asked: str) -> dict[str, int]:
    names = "".join(f"<D:{name}/>" for name in asked)
    body = f'<D:propfind xmlns:D="DAV:"><D:prop>{names}</D:prop></D:propfind>'.encode() if asked else b""
    text = as_account(lambda: Asker(area)("PROPFIND", b"", body, depth=b"1").body.decode())
    return {name: int(value) for name, value in re.findall(r"<D:(quota-[a-z]+-bytes)>(\d+)<", text)}


def area_with(area_of: Callable[..., Area], **space: object) -> Area:
    return area_of(space=Settings(**space))  # type: ignore[arg-type]


@pytest.mark.parametrize("source", ["quota", "file-system"])
def test_without_quotas_the_file_system_is_told(area_of: Callable[..., Area], root: Path, source: str) -> None:
    found = told(area_with(area_of, source=source), "quota-used-bytes", "quota-available-bytes")
    system = os.statvfs(root)
    assert found["quota-used-bytes"] == pytest.approx((system.f_blocks - system.f_bfree) * system.f_frsize, abs=MIB)
    assert found["quota-available-bytes"] == pytest.approx(system.f_bavail * system.f_frsize, abs=MIB)


def test_collections_are_told_of_it_without_asking_and_members_never(area_of: Callable[..., Area], root: Path) -> None:
    (root / "file").write_bytes(b"x")
    (root / "collection").mkdir()
    for asked in ((), ("quota-used-bytes", "quota-available-bytes")):
        area = area_with(area_of)
        text = as_account(lambda area=area, asked=asked: Asker(area)("PROPFIND", b"", depth=b"1").body.decode())
        assert text.count("<D:quota-used-bytes>") == text.count("<D:quota-available-bytes>") == 1


def test_a_source_that_says_nothing_leaves_the_properties_out(area_of: Callable[..., Area]) -> None:
    assert told(area_with(area_of, source="cephfs")) == {}
    assert told(area_with(area_of, source="command", command=("/bin/true",))) == {}  # nobody runs it here


def test_a_kernel_without_quotas_says_that_there_are_none(root: Path) -> None:
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY)
    assert quota.of(descriptor, quota.USER, ALICE) is None
    os.close(descriptor)


@pytest.mark.parametrize(
    ("used", "limit", "space"),
    [
        ("5497558138", "10995116277760", Space(700, 300)),  # the cluster has less left than the quota
        ("100", "150", Space(100, 50)),
        ("150", "100", Space(150, 0)),
        ("100", "0", Space(100, 300)),  # no quota
    ],
)
def test_cephfs_attributes(used: str, limit: str, space: Space) -> None:
    assert local.cephfs(used, limit, ROOM) == space


@pytest.mark.parametrize(("used", "limit"), [("", "1"), ("-1", "1"), ("1", "1k"), ("1", "²")])
def test_cephfs_attributes_that_make_no_sense(used: str, limit: str) -> None:
    with pytest.raises(NotKnown):
        local.cephfs(used, limit, ROOM)
