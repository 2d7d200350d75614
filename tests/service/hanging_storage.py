"""A FUSE file system whose files can be made to hang: what a dead Lustre or NFS server looks like to the processes that use it.

It speaks the kernel's protocol itself (linux/fuse.h, 7.31). Its root holds "fine", which is read at once, and "hangs" and "hangs-large", of
which reads wait until `answering` is set; all are owned by one account.
"""

import ctypes
import errno
import os
import stat
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.service.accounts import Account

SMALL_BYTES, LARGE_BYTES = 4096, 4 << 20

_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _STATFS, _RELEASE, _FLUSH = 1, 2, 3, 14, 15, 17, 18, 25
_INIT, _OPENDIR, _READDIR, _RELEASEDIR, _INTERRUPT, _BATCH_FORGET = 26, 27, 28, 29, 36, 42
_SILENT = (_FORGET, _INTERRUPT, _BATCH_FORGET)

_ROOT, _FINE, _HANGS, _HANGS_LARGE = 1, 2, 3, 4
_NODES = {b"fine": _FINE, b"hangs": _HANGS, b"hangs-large": _HANGS_LARGE}
_SIZES = {_ROOT: 0, _FINE: SMALL_BYTES, _HANGS: SMALL_BYTES, _HANGS_LARGE: LARGE_BYTES}

_REQUEST, _REPLY = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
_libc = ctypes.CDLL(None, use_errno=True)


class HangingStorage:
    """`with HangingStorage(folder, owner)`: mounted until the end of the block. Needs root."""

    def __init__(self, folder: Path, owner: Account, *, whole: bool = False) -> None:
        """whole: not only reads of the files that hang do, but whatever is asked of the top directory."""
        self.folder = folder
        self.answering = threading.Event()
        self.hanging = 0  # asks that wait, or have waited
        self._owner, self._whole = owner, whole

    def __enter__(self) -> Self:
        self.folder.mkdir()
        self._device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
        if _libc.mount(b"hanging", str(self.folder).encode(), b"fuse", 0, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), "mount")
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self.answering.set()
        _libc.umount2(str(self.folder).encode(), 2)  # MNT_DETACH
        self.folder.rmdir()

    def _serve(self) -> None:
        while True:
            try:
                message = os.read(self._device, 1 << 17)
            except OSError:
                return  # unmounted
            _, operation, unique, node, *_ = _REQUEST.unpack_from(message)
            if self._hangs(operation, node) and not self.answering.is_set():
                self.hanging += 1
                threading.Thread(target=self._answer_later, args=(unique, message), daemon=True).start()
            elif operation not in _SILENT:
                self._answer(unique, *self._outcome(operation, node, message[_REQUEST.size :]))

    def _hangs(self, operation: int, node: int) -> bool:
        if self._whole and node == _ROOT:
            return operation in (_GETATTR, _OPENDIR)
        return operation == _READ and node in (_HANGS, _HANGS_LARGE)

    def _answer_later(self, unique: int, message: bytes) -> None:
        self.answering.wait()
        _, operation, _, node, *_ = _REQUEST.unpack_from(message)
        self._answer(unique, *self._outcome(operation, node, message[_REQUEST.size :]))

    def _answer(self, unique: int, error: int, body: bytes = b"") -> None:
        try:
            os.write(self._device, _REPLY.pack(_REPLY.size + len(body), -error, unique) + body)
        except OSError:
            pass  # whoever asked is gone

    def _outcome(self, operation: int, node: int, body: bytes) -> tuple[int, bytes]:
        if operation == _INIT:
            return 0, struct.pack("<IIIIHHIIHH8I", 7, 31, 1 << 16, 0, 64, 48, 1 << 16, 1, 16, 0, *[0] * 8)
        if operation == _LOOKUP:
            found = _NODES.get(body.rstrip(b"\0"))
            return (0, struct.pack("<QQQQII", found, 0, 1, 1, 0, 0) + self._attributes(found)) if found else (errno.ENOENT, b"")
        if operation == _GETATTR:
            return 0, struct.pack("<QII", 1, 0, 0) + self._attributes(node)
        if operation in (_OPEN, _OPENDIR):
            return 0, struct.pack("<QII", 1, 1, 0)  # FOPEN_DIRECT_IO: no read comes from a cache
        if operation == _READ:
            return 0, self._content(body)
        if operation == _STATFS:
            return 0, struct.pack("<5Q4I6I", 1 << 20, 1 << 19, 1 << 19, 1000, 900, 4096, 255, 4096, 0, *[0] * 6)
        if operation in (_READDIR, _RELEASE, _RELEASEDIR, _FLUSH):
            return 0, b""
        return errno.ENOSYS, b""

    def _content(self, body: bytes) -> bytes:
        size = struct.unpack_from("<QQI", body)[2]
        return bytes(size)

    def _attributes(self, node: int) -> bytes:
        return attributes(node, _SIZES[node], self._owner, blocks=_SIZES[node] // 512)


def attributes(node: int, size: int, owner: Account, *, blocks: int) -> bytes:
    """struct fuse_attr."""
    mode = stat.S_IFDIR | 0o700 if node == _ROOT else stat.S_IFREG | 0o600
    return struct.pack("<6Q10I", node, size, blocks, 1, 1, 1, 0, 0, 0, mode, 1, owner.uid, owner.gid, 0, 4096, 0)
