"""Checksums of a file's content that are kept beside it in extended attributes, and what of them may be believed.

`user.storm.checksum.adler32` is written as StoRM writes it (eight lower-case hex digits), for site tools that read it. Our own
`user.teapot.checksum` says to which size and time of modification that belongs, and holds the other values: "SIZE MTIME_NS md5=HEX ...".
XRootD's `user.XrdCks.NAME` brings the time of modification along, and is believed where that fits. A StoRM value without a guard is
believed only where the area says so: nothing tells whether a batch job wrote to the file afterwards, and a wrong checksum makes a good
replica look corrupt. Storing is best effort, and changes ctime: that must be in no entity tag.
"""

import contextlib
import errno
import os
import struct

from teapot.worker.hashing import ALGORITHMS, LENGTHS, Values

ADLER32 = "user.storm.checksum.adler32"
GUARD = "user.teapot.checksum"
_XROOTD = {"adler32": "user.XrdCks.adler32", "crc32c": "user.XrdCks.crc32c", "md5": "user.XrdCks.md5", "sha-256": "user.XrdCks.sha256"}
ATTRIBUTES = frozenset((ADLER32, GUARD, *_XROOTD.values()))  # of one content: another has others

# XrdCksData in network byte order: name, time of modification, age, two reserved fields, length, value.
_XROOTD_FORM = struct.Struct("!16sqihcB64s")


def store(descriptor: int, values: Values) -> None:
    """As good as it goes: a file system without attributes only costs time later."""
    status = os.fstat(descriptor)
    others = "".join(f" {name}={values[name].hex()}" for name in ALGORITHMS if name in values and name != "adler32")
    with contextlib.suppress(OSError):
        _set_or_remove(descriptor, ADLER32, values.get("adler32", b"").hex().encode())  # what stood there would count with the new guard
        os.setxattr(descriptor, GUARD, guard(status) + others.encode())


def stored(file: int | str, status: os.stat_result, *, unguarded: bool = False) -> Values:
    """Those of exactly this content; what is missing must be computed. `file`: open, or a path below /proc/self/fd.

    unguarded: a StoRM value counts though nothing says that it is of this content.
    """
    found = {name: value for name, attribute in _XROOTD.items() if (value := _by_xrootd(file, attribute, name, status))}
    guarded, ours = _by_teapot(file, status)
    if guarded or (unguarded and not _attribute(file, GUARD)):
        found |= _by_storm(file)
    return found | ours


def guard(status: os.stat_result) -> bytes:
    return b"%d %d" % (status.st_size, status.st_mtime_ns)


def _by_teapot(file: int | str, status: os.stat_result) -> tuple[bool, Values]:
    """Whether ours are of this content, and which there are beside StoRM's."""
    size, modified, *others = [*_attribute(file, GUARD).split(b" "), b"", b""][: 2 + len(ALGORITHMS)]
    if b"%b %b" % (size, modified) != guard(status):
        return False, {}
    pairs = (one.decode("ascii", "replace").partition("=") for one in others)
    return True, {name: value for name, _, text in pairs if name in ALGORITHMS and (value := _of_hex(text, name))}


def _by_storm(file: int | str) -> Values:
    text = _attribute(file, ADLER32).decode("ascii", "replace")
    value = _of_hex(text.rjust(8, "0"), "adler32") if text else b""
    return {"adler32": value} if value else {}


def _by_xrootd(file: int | str, attribute: str, name: str, status: os.stat_result) -> bytes:
    data = _attribute(file, attribute)
    if len(data) != _XROOTD_FORM.size:
        return b""
    _, modified, _, _, _, length, value = _XROOTD_FORM.unpack(data)
    return bytes(value[:length]) if modified == int(status.st_mtime) and length == LENGTHS[name] else b""


def _set_or_remove(descriptor: int, name: str, value: bytes) -> None:
    if value:
        os.setxattr(descriptor, name, value)
        return
    try:
        os.removexattr(descriptor, name)
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise


def _attribute(file: int | str, name: str) -> bytes:
    """b"": there is none, or no attribute at all."""
    try:
        return os.getxattr(file, name)
    except OSError:
        return b""


def _of_hex(text: str, name: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        return b""
    return value if len(value) == LENGTHS[name] else b""
