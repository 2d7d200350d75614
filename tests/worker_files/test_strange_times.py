"""A file may have any time that its file system can keep; everybody else's listing must bear it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teapot.worker import listing, propfind, reading
from teapot.worker.area import Area
from teapot.worker.propfind_request import Wanted

TIMES = (-(1 << 62), -1, 1 << 40, (1 << 63) - 1)
WAYS: dict[str, Callable[[Area], Iterator[bytes]]] = {
    "PROPFIND": lambda area: propfind.answer(area, b"", True, Wanted(None), may_list=True, files_too=True),
    "page": lambda area: listing.page(area, b"", area.open(b"", os.O_RDONLY | os.O_DIRECTORY)),
}


@pytest.fixture(params=TIMES)
def file(request: pytest.FixtureRequest, root: Path) -> Path:
    file = root / "strange"
    file.touch()
    os.utime(file, (request.param, request.param))
    (root / "usual").touch()
    return file


@pytest.mark.parametrize("way", WAYS)
def test_a_strange_time_does_not_break_the_listing(area: Area, file: Path, way: str) -> None:
    told = b"".join(WAYS[way](area))
    assert b"strange" in told and b"usual" in told


def test_a_file_with_a_strange_time_is_read(area: Area, file: Path) -> None:
    reply = reading.get(area, b"strange", False, {}, files_too=True, head=False, may_list=True)
    assert reply.status == 200 and reply.body
    reply.body.close()
    dates = [value for name, value in reply.fields if name == b"last-modified"]
    assert len(dates[0]) == len(b"Sun, 06 Nov 1994 08:49:37 GMT")
