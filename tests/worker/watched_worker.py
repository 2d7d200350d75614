"""Forks a worker as the spawner does, asks it for everything that it can do, and tells what it imported meanwhile.

A program of its own, so that no more is loaded than in a spawner. An audit hook notes imports in memory that both processes share.
"""

import mmap
import os
import sys
import time

from teapot.channel import control_messages as control
from teapot.channel import packets, start
from teapot.channel.worker_messages import CHANNEL_VERSION, Answer, FromWorker, Hello, Request
from teapot.configuration import Accounts, StorageArea, Worker
from teapot.spawner import birth, loop

seen = mmap.mmap(-1, 65536)  # watching (1 byte), length of what was noted (4 bytes), names


def note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "import" and seen[0]:
        end = int.from_bytes(seen[1:5], "little")
        name = f"{arguments[0]} ".encode()
        seen[5 + end : 5 + end + len(name)] = name
        seen[1:5] = (end + len(name)).to_bytes(4, "little")


UPDATE = b"<D:propertyupdate xmlns:D='DAV:'><D:set><D:prop>%b</D:prop></D:set></D:propertyupdate>"
LOCK = (
    b"<lockinfo xmlns='DAV:'><lockscope><exclusive/></lockscope><locktype><write/></locktype>"
    b"<owner><href>mailto:alice@example.org</href></owner></lockinfo>"
)
REQUESTS = [
    ("MKCOL", b"c", {}, b""),
    ("PUT", b"c/f", {"digest": b"adler32=03da0195", "x-oc-mtime": b"1500000000", "content-type": b"text/plain"}, b"some text"),
    ("PUT", b"c/g", {"digest": b"md5=Uhqq8N2PvCZYyfU4iDvGOg=="}, b"other"),
    ("PUT", b"c/h", {"if-none-match": b"*"}, b"x" * 60_000),
    ("PUT", b"no/such/\xff", {}, b"bytes"),
    ("GET", b"c/f", {"range": b"bytes=0-1", "if-range": b'"x"'}, b""),
    ("GET", b"c/f", {"range": b"bytes=0-1,3-4", "want-digest": b"adler32,md5"}, b""),
    ("GET", b"c/f", {"range": b"bytes=99-"}, b""),
    ("GET", b"c/f", {"if-modified-since": b"Sun, 06 Nov 1994 08:49:37 GMT"}, b""),
    ("GET", b"c/absent", {}, b""),
    ("GET", b"c", {}, b""),
    ("HEAD", b"c/f", {"want-repr-digest": b"md5=1"}, b""),
    ("PROPFIND", b"c", {"depth": b"1"}, b""),
    ("PROPFIND", b"c", {"depth": b"0"}, b'<propfind xmlns="DAV:"><prop><getetag/><x xmlns="urn:x"/></prop></propfind>'),
    ("PROPFIND", b"c", {"depth": b"0"}, b'<?xml version="1.0" encoding="iso-8859-1"?><propfind xmlns="DAV:"><allprop/></propfind>'),
    ("PROPFIND", b"c", {"depth": b"0"}, b"<not xml"),
    ("PROPPATCH", b"c/f", {}, UPDATE % b"<x xmlns='urn:x' xml:lang='de'>\xc3\xa4</x>"),
    ("PROPPATCH", b"c/f", {}, UPDATE % b"<D:getetag>no</D:getetag>"),
    ("PROPPATCH", b"c/f", {}, b"<not xml"),
    ("PROPPATCH", b"c/absent", {}, UPDATE % b"<x/>"),
    ("PROPPATCH", b"c/f", {}, b'<?xml version="1.0" encoding="shift_jis"?><propertyupdate xmlns="DAV:"/>'),
    ("PROPFIND", b"c", {"depth": b"1"}, b'<propfind xmlns="DAV:"><prop><lockdiscovery/><x xmlns="urn:x"/></prop></propfind>'),
    ("LOCK", b"c/f", {"timeout": b"Infinite", "depth": b"0"}, LOCK),
    ("LOCK", b"c/f", {}, LOCK),
    ("LOCK", b"c/f", {"if": b"(<urn:uuid:0>)"}, b""),
    ("LOCK", b"c/new", {"timeout": b"Second-10"}, LOCK),
    ("LOCK", b"c", {}, LOCK),
    ("LOCK", b"c/h", {}, b"<lockinfo xmlns='DAV:'><lockscope/></lockinfo>"),
    ("UNLOCK", b"c/f", {"lock-token": b"<urn:uuid:0>"}, b""),
    ("UNLOCK", b"c/f", {}, b""),
    ("PUT", b"c/f", {}, b"locked"),
    ("PUT", b"c/f", {"if": b"(<urn:uuid:0>) (Not <DAV:no-lock>)"}, b"locked"),
    ("OPTIONS", b"c/f", {}, b""),
    ("COPY", b"c", {}, b""),
    ("MOVE", b"d", {"overwrite": b"F"}, b""),
    ("DELETE", b"d", {}, b""),
    ("DELETE", b"c", {}, b""),
    ("NONSENSE", b"c", {}, b""),
]


def main(account: str) -> None:
    home = StorageArea(name="home", path="/home", root="{home}")
    settings = {"accounts": Accounts(), "areas": (home,), "worker": Worker(spool="/nowhere"), "single_account": ""}
    begin = start.SpawnerStart(number=1, master=-1, account="", log_level="info", **settings)  # type: ignore[arg-type]
    sys.addaudithook(note)
    worker = birth.fork_worker(account, begin, loop.edition(begin), [])
    worker.control.setblocking(True)
    while (received := control.receive(worker.control, control.TO_SPAWNER)) and received[0].kind != control.READY:
        assert received[0].kind == control.IDENTITY, received
    seen[0] = 1
    ours, theirs = packets.pair()
    control.send(worker.control, control.Control(control.CHANNEL, 1, time.monotonic() + 60), theirs.fileno())
    packets.send(ours, Hello(CHANNEL_VERSION, "test"))
    receiver = packets.Receiver[FromWorker](FromWorker)
    for number, (method, path, fields, body) in enumerate(REQUESTS, 1):
        target = {"COPY": b"d", "MOVE": b"e"}.get(method, b"")
        request = Request(
            number, "r", method, "home", path, False, 7, fields, length=len(body), target_area="home", target_path=target, target_rights=7
        )
        packets.send(ours, request, body)
        while not isinstance((said := receiver.receive(ours).message), Answer):
            pass
        print(method, path, said.status, said.problem, said.detail)
        assert not said.streamed and said.problem != "internal_error"
    control.send(worker.control, control.Control(control.RETIRE))
    os.waitpid(worker.pid, 0)
    print("imported:", bytes(seen[5 : 5 + int.from_bytes(seen[1:5], "little")]).decode().split())


main(sys.argv[1])
