"""What Windows and macOS send when a person saves, renames and deletes a file, replayed step by step: sequences after [MS-WDV], sabre.io's
notes on the Finder and logs that people have published. The programs themselves do not run here.

In a body and in a field {token} is the lock token that the last LOCK gave.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.service.site import Site
from tests.service.teapot_process import Teapot

AREA = "/home/recorded"


class Step(NamedTuple):
    method: str
    path: str
    status: int
    fields: dict[str, str] = {}  # noqa: RUF012  # never changed
    body: bytes = b""
    told: str = ""  # a pattern that the answer's body holds


LOCK = (
    b'<?xml version="1.0" encoding="utf-8" ?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    b"<D:locktype><D:write/></D:locktype><D:owner><D:href>DESKTOP\\alice</D:href></D:owner></D:lockinfo>"
)
WIN32_TIMES = (
    b'<?xml version="1.0" encoding="utf-8" ?><D:propertyupdate xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:"><D:set><D:prop>'
    b"<Z:Win32CreationTime>Mon, 23 Nov 2026 10:00:00 GMT</Z:Win32CreationTime>"
    b"<Z:Win32LastAccessTime>Mon, 23 Nov 2026 10:00:00 GMT</Z:Win32LastAccessTime>"
    b"<Z:Win32LastModifiedTime>Mon, 23 Nov 2026 10:00:00 GMT</Z:Win32LastModifiedTime>"
    b"<Z:Win32FileAttributes>00000020</Z:Win32FileAttributes></D:prop></D:set></D:propertyupdate>"
)
WINDOWS = {"User-Agent": "Microsoft-WebDAV-MiniRedir/10.0.22631", "translate": "f", "Cache-Control": "no-cache", "Pragma": "no-cache"}
HELD = {"If": "(<{token}>)"}
ZERO, ONE = {"Depth": "0"}, {"Depth": "1"}
XML = {"Content-Type": 'text/xml; charset="utf-8"'}

WINDOWS_SAVES = [
    Step("OPTIONS", "/", 200),
    Step("PROPFIND", "/", 207, ZERO),
    Step("PROPFIND", "/report.docx", 404, ZERO),
    Step("PUT", "/report.docx", 201),
    Step("LOCK", "/report.docx", 200, {"Timeout": "Second-3600"} | XML, LOCK, "<D:depth>(0|infinity)</D:depth>"),
    Step("PROPPATCH", "/report.docx", 207, HELD | XML, WIN32_TIMES, "HTTP/1.1 200 OK"),
    Step("HEAD", "/report.docx", 200),
    Step("PUT", "/report.docx", 200, HELD, b"the report"),
    Step("PROPPATCH", "/report.docx", 207, HELD | XML, WIN32_TIMES, "HTTP/1.1 200 OK"),
    Step("UNLOCK", "/report.docx", 204, {"Lock-Token": "<{token}>"}),
    Step("PROPFIND", "/report.docx", 207, ZERO, told="Win32LastModifiedTime[^>]*>Mon, 23 Nov 2026 10:00:00 GMT"),
    Step("PROPFIND", "/", 207, ONE, told="<D:getcontentlength>10</D:getcontentlength>"),
]
WINDOWS_RENAMES_AND_DELETES = [
    Step("PUT", "/New Text Document.txt".replace(" ", "%20"), 201),
    Step("PROPFIND", "/notes.txt", 404, ZERO),
    Step("MOVE", "/New%20Text%20Document.txt", 201, {"Destination": "{base}/notes.txt", "Overwrite": "F"}),
    Step("PROPFIND", "/notes.txt", 207, ZERO),
    Step("DELETE", "/notes.txt", 204),
    Step("PROPFIND", "/notes.txt", 404, ZERO),
    Step("MKCOL", "/New%20folder", 201),
    Step("MOVE", "/New%20folder", 201, {"Destination": "{base}/data/", "Overwrite": "F"}),
    Step("PROPFIND", "/data", 207, ONE, told="<D:collection/>"),
    Step("DELETE", "/data", 204),
]

MACOS = {"User-Agent": "WebDAVFS/3.0.0 (03008000) Darwin/23.1.0 (arm64)", "Accept": "*/*"}
QUOTA = b'<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:prop><D:quota-available-bytes/><D:quota-used-bytes/><D:quota/><D:quotaused/>'
QUOTA += b"</D:prop></D:propfind>"
STAT = (
    b'<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:prop><D:getlastmodified/><D:getcontentlength/><D:creationdate/><D:resourcetype/>'
    b"</D:prop></D:propfind>"
)
LIST = STAT.replace(b"<D:resourcetype/>", b'<D:resourcetype/><A:appledoubleheader xmlns:A="http://www.apple.com/webdav_fs/props/"/>')
CHUNKED = {"Transfer-Encoding": "chunked", "X-Expected-Entity-Length": "11"}
SMALL_LOCK = {"Depth": "0", "Timeout": "Second-600"} | XML

MACOS_MOUNTS_AND_SAVES = [
    Step("OPTIONS", "/", 200),
    Step("PROPFIND", "/", 207, ZERO | XML, QUOTA, "<D:quota-available-bytes>[0-9]+</D:quota-available-bytes>"),
    Step("PROPFIND", "/", 207, ZERO | XML, STAT, "<D:collection/>"),
    Step("PROPFIND", "/", 207, ONE | XML, LIST),
    Step("PROPFIND", "/.DS_Store", 404, ZERO | XML, STAT),
    Step("PROPFIND", "/._report.pdf", 404, ZERO | XML, STAT),
    Step("PROPFIND", "/report.pdf", 404, ZERO | XML, STAT),
    Step("PUT", "/report.pdf", 201),
    Step("LOCK", "/report.pdf", 200, SMALL_LOCK, LOCK, "<D:timeout>Second-[0-9]+</D:timeout>"),
    Step("PUT", "/report.pdf", 200, HELD | CHUNKED, b"b\r\nthe content\r\n0\r\n\r\n"),
    Step("PROPFIND", "/report.pdf", 207, ZERO | XML, STAT, "<D:getcontentlength>11</D:getcontentlength>"),
    Step("UNLOCK", "/report.pdf", 204, {"Lock-Token": "<{token}>"}),
    Step("LOCK", "/._report.pdf", 201, SMALL_LOCK, LOCK),
    Step("PUT", "/._report.pdf", 200, HELD, b"\x00\x05\x16\x07"),
    Step("UNLOCK", "/._report.pdf", 204, {"Lock-Token": "<{token}>"}),
    Step("GET", "/report.pdf", 200, {"Range": "bytes=0-4", "If-Range": '"stale"'}, told="^the content$"),
    Step("MOVE", "/report.pdf", 201, {"Destination": "{base}/final.pdf", "Overwrite": "T"}),
    Step("DELETE", "/._report.pdf", 204),
    Step("DELETE", "/final.pdf", 204),
]


@pytest.fixture
def folder(site: Site) -> Iterator[Path]:
    folder = site.home_of(site.alice) / "recorded"
    folder.mkdir()
    os.chown(folder, site.alice.uid, site.alice.gid)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("fields", "steps", "left"),
    [
        pytest.param(WINDOWS, WINDOWS_SAVES, ["report.docx"], id="Windows saves"),
        pytest.param(WINDOWS, WINDOWS_RENAMES_AND_DELETES, [], id="Windows renames and deletes"),
        pytest.param(MACOS, MACOS_MOUNTS_AND_SAVES, [], id="macOS mounts, saves, renames and deletes"),
    ],
)
def test_each_step_is_answered_as_the_client_expects(
    teapot: Teapot, as_alice: str, folder: Path, fields: dict[str, str], steps: list[Step], left: list[str]
) -> None:
    token = ""
    for number, step in enumerate(steps):
        own = {name: value.format(token=token, base=teapot.url(AREA)) for name, value in step.fields.items()}
        body = step.body if step.method in ("PUT", "LOCK", "PROPFIND", "PROPPATCH") else None
        answer = teapot.request(step.method, AREA + step.path, as_alice, body=body, headers=fields | own)
        assert answer.status == step.status, (number, step.method, step.path, answer)
        assert re.search(step.told, answer.body.decode()), (number, step.method, step.path, answer.body)
        token = answer.headers.get("lock-token", f"<{token}>").strip("<>")
    assert sorted(path.name for path in folder.iterdir()) == left
