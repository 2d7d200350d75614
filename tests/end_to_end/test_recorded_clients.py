"""What Windows and macOS send when a person saves, renames and deletes a file, replayed step by step. The programs themselves do not run
here: each recording names the public documents, published logs and source that its steps, fields and bodies are taken from.

In a field {token} is the lock token that the last LOCK gave, {modified} the last Last-Modified, {base} the URL of the collection.
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
# The body as https://github.com/9001/copyparty/issues/910 prints it.
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

# In this order in a published log of Windows 10 (https://github.com/alexbakker/webdav-provider/issues/14), and told step by step, with the
# second PROPPATCH, in https://github.com/mar10/wsgidav/issues/112. The lock has infinite depth and is asked for an hour
# (https://github.com/mar10/wsgidav/issues/259).
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
# MOVE with these very fields: https://github.com/wader/docker-webdav/issues/1. A new folder is looked for, made, and given its times
# before it is renamed: https://github.com/danmunn/redmine_dmsf/issues/334 and 671. That DELETE has no fields of its own is our reading.
WINDOWS_RENAMES_AND_DELETES = [
    Step("PUT", "/New%20Text%20Document.txt", 201),
    Step("PROPFIND", "/notes.txt", 404, ZERO),
    Step("MOVE", "/New%20Text%20Document.txt", 201, {"Destination": "{base}/notes.txt", "Overwrite": "F"}),
    Step("PROPFIND", "/notes.txt", 207, ZERO),
    Step("DELETE", "/notes.txt", 204),
    Step("PROPFIND", "/notes.txt", 404, ZERO),
    Step("PROPFIND", "/New%20folder", 404, ZERO),
    Step("MKCOL", "/New%20folder", 201),
    Step("PROPPATCH", "/New%20folder", 207, XML, WIN32_TIMES, "HTTP/1.1 200 OK"),
    Step("MOVE", "/New%20folder", 201, {"Destination": "{base}/data", "Overwrite": "F"}),
    Step("PROPFIND", "/data", 207, ONE, told="<D:collection/>"),
    Step("DELETE", "/data", 204),
]

# What the Finder's file system sends is in Apple's published source of it (webdavfs, mount.tproj/webdav_network.c; a copy of all releases
# is https://github.com/apple-open-source/macos): fields and bodies below are those of its functions, named beside the steps.
MACOS = {"User-Agent": "WebDAVFS/3.0.0 (03008000) Darwin/23.1.0 (arm64)", "Accept": "*/*"}
MACOS_XML = {"Content-Type": "text/xml"}
_PROPFIND = b'<?xml version="1.0" encoding="utf-8"?>\n<D:propfind xmlns:D="DAV:">\n<D:prop%b>\n%b\n</D:prop>\n</D:propfind>\n'
STAT_NAMES = b"<D:getlastmodified/>\n<D:getcontentlength/>\n<D:creationdate/>\n<D:resourcetype/>"
STAT = _PROPFIND % (b"", STAT_NAMES)
QUOTA = _PROPFIND % (b"", b"<D:quota-available-bytes/>\n<D:quota-used-bytes/>\n<D:quota/>\n<D:quotaused/>")
LIST = _PROPFIND % (b' xmlns:A="http://www.apple.com/webdav_fs/props/"', STAT_NAMES + b"\n<A:appledoubleheader/>")
MEMBERS = _PROPFIND % (b"", b"<D:resourcetype/>")
APPLE_LOCK = (
    b'<?xml version="1.0" encoding="utf-8"?>\n<D:lockinfo xmlns:D="DAV:">\n<D:lockscope><D:exclusive/></D:lockscope>\n'
    b"<D:locktype><D:write/></D:locktype>\n<D:owner>\n<D:href>http://www.apple.com/webdav_fs/</D:href>\n</D:owner>\n</D:lockinfo>\n"
)
CHUNKED = {"Transfer-Encoding": "chunked", "X-Expected-Entity-Length": "11"}
SMALL_LOCK = ZERO | {"Timeout": "Second-600"} | XML
GIVEN_UP = {"Lock-Token": "<{token}>"}

# The order is that of sabre.io's notes on mounting (http://sabre.io/dav/clients/finder/) and of published logs: PUT, LOCK, PUT, UNLOCK for
# a new file (https://github.com/ModeShape/modeshape/pull/841, https://github.com/owncloud/core/issues/24753), and LOCK, PUT, UNLOCK for
# the file beside it whose name begins with "._" (https://github.com/pydio/pydio-core/issues/581).
MACOS_MOUNTS_AND_SAVES = [
    Step("OPTIONS", "/", 200),  # network_getDAVLevel
    Step("PROPFIND", "/", 207, ZERO | MACOS_XML, STAT, "<D:collection/>"),  # network_stat
    Step("PROPFIND", "/", 207, ZERO | MACOS_XML, QUOTA, "<D:quota-available-bytes>[0-9]+</D:quota-available-bytes>"),  # network_statfs
    Step("PROPFIND", "/", 207, ONE | MACOS_XML, LIST),  # network_readdir
    Step("PROPFIND", "/._.", 404, ZERO | MACOS_XML, STAT),
    Step("PROPFIND", "/.DS_Store", 404, ZERO | MACOS_XML, STAT),
    Step("PROPFIND", "/report.pdf", 404, ZERO | MACOS_XML, STAT),
    Step("PUT", "/report.pdf", 201),  # network_create
    Step("PROPFIND", "/._report.pdf", 404, ZERO | MACOS_XML, STAT),
    Step("LOCK", "/report.pdf", 200, SMALL_LOCK, APPLE_LOCK, "<D:timeout>Second-[0-9]+</D:timeout>"),  # network_lock
    Step("PUT", "/report.pdf", 200, HELD | CHUNKED, b"b\r\nthe content\r\n0\r\n\r\n"),  # setup_seq_write
    Step("LOCK", "/report.pdf", 200, ZERO | {"Timeout": "Second-600"} | MACOS_XML | HELD),  # network_lock, to keep it
    Step("PROPFIND", "/report.pdf", 207, ZERO | MACOS_XML, STAT, "<D:getcontentlength>11</D:getcontentlength>"),
    Step("UNLOCK", "/report.pdf", 204, GIVEN_UP),  # network_unlock
    Step("LOCK", "/._report.pdf", 201, SMALL_LOCK, APPLE_LOCK),
    Step("PUT", "/._report.pdf", 200, HELD, b"\x00\x05\x16\x07"),
    Step("UNLOCK", "/._report.pdf", 204, GIVEN_UP),
    Step("GET", "/report.pdf", 200, told="^the content$"),  # network_open
    Step("GET", "/report.pdf", 304, {"If-Modified-Since": "{modified}"}),  # and again
    Step("GET", "/report.pdf", 206, {"Range": "bytes=4-10"}, told="^content$"),  # network_read
    Step("MOVE", "/report.pdf", 201, {"Destination": "{base}/final.pdf"}),  # network_rename: no Overwrite
    Step("MKCOL", "/untitled%20folder", 201),  # network_mkdir
    Step("PROPFIND", "/untitled%20folder/", 207, ONE | MACOS_XML, MEMBERS),  # network_dir_is_empty
    Step("DELETE", "/untitled%20folder/", 204),  # network_rmdir
    Step("DELETE", "/._report.pdf", 204),  # network_remove
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
    token = modified = ""
    for number, step in enumerate(steps):
        own = {name: value.format(token=token, modified=modified, base=teapot.url(AREA)) for name, value in step.fields.items()}
        body = step.body if step.method in ("PUT", "LOCK", "PROPFIND", "PROPPATCH") else None
        answer = teapot.request(step.method, AREA + step.path, as_alice, body=body, headers=fields | own)
        assert answer.status == step.status, (number, step.method, step.path, answer)
        assert re.search(step.told, answer.body.decode()), (number, step.method, step.path, answer.body)
        token = answer.headers.get("lock-token", f"<{token}>").strip("<>")
        modified = answer.headers.get("last-modified", modified)
    assert sorted(path.name for path in folder.iterdir()) == left
