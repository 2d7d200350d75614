"""A storage area of ALICE on each file system of the matrix, and the shortest way to put a file there.

With TEAPOT_TEST_STORAGE the matrix is that folder alone: an NFS mount, or whatever a site wants to try.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teapot.configuration import StorageArea
from teapot.worker.area import Area
from teapot.worker.journal import Journal
from teapot.worker.upload import Stored, Terms, Upload
from tests.worker_files.accounts import ALICE
from tests.worker_files.file_systems import FileSystems

NOWHERE = Journal(None)
GIVEN = os.environ.get("TEAPOT_TEST_STORAGE", "")


@pytest.fixture(scope="session")
def file_systems() -> Iterator[FileSystems]:
    with FileSystems(512) as mounted:
        yield mounted


@pytest.fixture(params=["given"] if GIVEN else ["ext4", "xfs", "tmpfs"])
def folder(request: pytest.FixtureRequest, file_systems: FileSystems) -> Iterator[Path]:
    """A directory that everybody may enter, and ALICE's in it."""
    made = Path(tempfile.mkdtemp(prefix="teapot-files-", dir=GIVEN or file_systems.at(request.param)))
    made.chmod(0o755)
    (made / "alice").mkdir(mode=0o750)
    os.chown(made / "alice", ALICE, ALICE)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def root(folder: Path) -> Path:
    return folder / "alice"


@pytest.fixture
def area_of(root: Path) -> Iterator[Callable[..., Area]]:
    """Makes an area at the root, with settings of its own."""
    opened: list[int] = []

    def make(**settings: Any) -> Area:
        opened.append(os.open(settings.pop("at", root), os.O_PATH | os.O_DIRECTORY))
        group = settings.pop("of_group", -1)
        return Area(StorageArea(name="area", path="/area", root=str(root), **settings), opened[-1], group)

    yield make
    for descriptor in opened:
        os.close(descriptor)


@pytest.fixture
def area(area_of: Callable[..., Area]) -> Area:
    return area_of()


def terms(*, may_replace: bool = True, durable: bool = False, precondition: Any = lambda status: None) -> Terms:
    return Terms(may_replace, precondition, durable)


def put(area: Area, path: bytes, content: bytes, journal: Journal = NOWHERE, **under: Any) -> Stored:
    upload = Upload(area, path, terms(**under), journal, len(content))
    upload.write(memoryview(content))
    return upload.commit(len(content), {})


def tree(root: Path) -> dict[str, bytes | None]:
    """Everything below, hidden names too: content of files, None for collections."""
    found: dict[str, bytes | None] = {}
    for above, collections, files in os.walk(root):
        here = Path(above)
        found |= {str((here / name).relative_to(root)): None for name in collections}
        found |= {str((here / name).relative_to(root)): (here / name).read_bytes() for name in files if (here / name).is_file()}
    return found
