"""Below Landlock nothing can be loaded: whatever a worker needs, the spawner has loaded before it forks."""

import json
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import json, os, socket, sys, time
import teapot.spawner.loop
before = set(sys.modules)
from teapot.channel import packets
from teapot.channel.worker_messages import Answer, Continue, EndOfBody, FromWorker, Hello, Request, SendBody
from teapot.configuration import StorageArea, Worker
from teapot.worker.area import Area
from teapot.worker.channels import Channel
from teapot.worker.dispatch import Office
from teapot.worker.journal import Journal
from teapot.worker.pump import Pump
from teapot.worker.traffic import Traffic

root = sys.argv[1]
office = Office({"a": Area(StorageArea(name="a", path="/a", root=root), os.open(root, os.O_RDONLY))}, Journal(None), Worker())
ours, theirs = packets.pair()
channel = Channel(theirs, time.monotonic() + 100, office, Pump(), Traffic(), "test")
receiver = packets.Receiver(FromWorker)
assert isinstance(receiver.receive(ours).message, Hello)
statuses = {}

def ask(number, method, path, fields=None, body=b"", target=b""):
    length = len(body) if method == "PUT" else None
    packets.send(ours, Request(number, "id", method, "a", path, False, 7, fields or {}, length=length, target_area="a" if target else "",
                               target_path=target, target_rights=7), body)
    channel.take()
    answer = receiver.receive(ours).message
    statuses[f"{number} {method}"] = answer.status or answer.problem
    return answer

def large_put(number):
    one, two = socket.socketpair()
    packets.send(ours, Request(number, "id", "PUT", "a", b"large", False, 7, {}, streamed=True), descriptors=(two.fileno(),))
    two.close()
    channel.take()
    assert isinstance(receiver.receive(ours).message, Continue)
    one.sendall(bytes(1 << 20))
    one.close()
    packets.send(ours, EndOfBody(number, 1 << 20))
    channel.take()
    statuses[f"{number} large PUT"] = receiver.receive(ours).message.status

def large_get(number):
    assert ask(number, "GET", b"large").streamed
    one, two = socket.socketpair()
    packets.send(ours, SendBody(number), descriptors=(two.fileno(),))
    two.close()
    channel.take()
    while one.recv(1 << 20):
        pass
    receiver.receive(ours)

ask(1, "PUT", b"f", {"digest": b"adler32=00620062"}, b"a")
ask(2, "GET", b"f", {"want-digest": b"md5,adler32"})
ask(3, "HEAD", b"f", {"if-none-match": b'"x"', "if-modified-since": b"Mon, 23 Nov 2026 10:00:00 GMT"})
ask(4, "GET", b"f", {"range": b"bytes=0-0,0-0"})
ask(5, "GET", b"f", {"range": b"bytes=7-"})
ask(6, "MKCOL", b"c")
ask(7, "PROPFIND", b"", {"depth": b"1"})
asked = b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop><getetag/><x xmlns="urn:x"/></prop></propfind>'
ask(8, "PROPFIND", b"", {"depth": b"0"}, asked)
ask(9, "PROPFIND", b"", {"depth": b"0"}, b"<no xml")
ask(10, "GET", b"")
ask(11, "COPY", b"f", {}, b"", b"c/f")
ask(12, "COPY", b"c", {}, b"", b"d")
ask(13, "MOVE", b"d", {}, b"", b"e")
ask(14, "DELETE", b"e")
ask(15, "GET", b"nothing")
ask(16, "PUT", bytes(range(1, 47)) + bytes(range(48, 256)), None, b"odd name")
ask(17, "PROPFIND", b"", {"depth": b"1"})
ask(18, "GET", "\\u00e4".encode())
large_put(19)
large_get(20)
print(json.dumps({"statuses": statuses, "new": sorted(set(sys.modules) - before)}))
"""


def test_serving_every_method_loads_nothing(tmp_path: Path) -> None:
    """In an interpreter that has loaded what the spawner loads, and nothing else."""
    done = subprocess.run([sys.executable, "-I", "-c", _PROGRAM, tmp_path], capture_output=True, text=True, timeout=60, cwd="/")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["new"] == []
    expected = [201, 200, 200, 206, "range_not_satisfiable", 201, 207, 207, "bad_xml", 200, 201, 201, 201, 204, "not_found", 201, 207]
    assert list(said["statuses"].values()) == [*expected, "not_found", 201, 200]
