"""A FUSE file system as a tape system shows itself: whoever opens a file whose content is on tape only waits until it has been recalled.

Where each file is said to be is in an extended attribute; LOCALITY of one that has none is not known to it. Nothing is ever recalled
unless a test says so (`answering`), so that an open which should not have been is seen: it hangs, and is in `opened`.
"""

import errno
import struct
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.service.accounts import Account
from tests.service.hanging_storage import HangingStorage, attributes

ATTRIBUTE = "user.hsm.locality"

_LOOKUP, _GETATTR, _OPEN, _READ, _GETXATTR, _LISTXATTR, _READDIR = 1, 3, 14, 15, 22, 23, 28
_ROOT = 1


class Content(NamedTuple):
    said: bytes | None  # the value of the attribute
    on_disk: bool = True
    data: bytes = b"events of a run\n" * 100


FILES = {
    b"online": Content(None),
    b"both": Content(b"ONLINE_AND_NEARLINE"),
    b"disk-and-tape": Content(b"disk_and_tape\n"),
    b"offline": Content(b"NEARLINE", on_disk=False),
    b"offline-too": Content(b"TAPE", on_disk=False),
    b"lost": Content(b"LOST", on_disk=False),
    b"unavailable": Content(b"UNAVAILABLE", on_disk=False),
    b"nonsense": Content(b"on the shelf", on_disk=False),
    b"purged": Content(b"ONLINE_AND_NEARLINE", on_disk=False),  # what is said of it is old
    b"empty": Content(b"NEARLINE", on_disk=False, data=b""),
}
_NAMES = dict(enumerate(FILES, _ROOT + 1))
_NODES = {name: node for node, name in _NAMES.items()}


class TapeStorage(HangingStorage):
    def __init__(self, folder: Path, owner: Account) -> None:
        super().__init__(folder, owner)
        self.opened: Counter[str] = Counter()

    def _hangs(self, operation: int, node: int) -> bool:
        if operation != _OPEN or node not in _NAMES:
            return False
        self.opened[_NAMES[node].decode()] += 1
        return not FILES[_NAMES[node]].on_disk

    def _outcome(self, operation: int, node: int, body: bytes) -> tuple[int, bytes]:
        if operation == _LOOKUP:
            found = _NODES.get(body.rstrip(b"\0"))
            return (0, struct.pack("<QQQQII", found, 0, 1, 1, 0, 0) + self._attributes(found)) if found else (errno.ENOENT, b"")
        if operation in (_GETXATTR, _LISTXATTR):
            return self._attribute(node, body) if operation == _GETXATTR else (0, bytes(8))
        if operation == _READ:
            _, at, size = struct.unpack_from("<QQI", body)
            return 0, FILES[_NAMES[node]].data[at : at + size]
        if operation == _READDIR:
            return 0, self._members(*struct.unpack_from("<QQI", body)[1:])
        return super()._outcome(operation, node, body)

    def _attribute(self, node: int, body: bytes) -> tuple[int, bytes]:
        size, name = struct.unpack_from("<I", body)[0], body[8:].rstrip(b"\0").decode()
        value = FILES[_NAMES[node]].said if node in _NAMES and name == ATTRIBUTE else None
        if value is None:
            return errno.ENODATA, b""
        return (0, value) if size else (0, struct.pack("<II", len(value), 0))

    def _members(self, after: int, room: int) -> bytes:
        entries = b""
        for number, (node, name) in enumerate(_NAMES.items(), 1):
            entry = struct.pack("<QQII", node, number, len(name), 8) + name
            entry += bytes(-len(entry) % 8)
            if number > after and len(entries) + len(entry) <= room:
                entries += entry
        return entries

    def _attributes(self, node: int) -> bytes:
        content = FILES[_NAMES[node]] if node in _NAMES else None
        size = len(content.data) if content else 0
        return attributes(node, size, self._owner, blocks=-(-size // 512) if content and content.on_disk else 0)
