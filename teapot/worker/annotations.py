"""What WebDAV keeps with a resource: its locks and dead properties, in one extended attribute of its inode.

One packed attribute with a budget, because ext4 has 4 KB for all attributes of an inode: a property that does not fit is refused by name
and never told as a full disk. The account may write anything into attributes of its own files: what cannot be read counts as nothing kept.
"""

import contextlib
import errno
import os
import re
import time
import zlib

import msgspec

from teapot.worker.refusal import Refusal, refusal_of

ATTRIBUTE = "user.teapot.webdav"
PROPERTIES_BUDGET_BYTES = 2048  # as stored, compressed
BUDGET_BYTES = 3072  # with locks
MOST_SECONDS = 86_400.0  # that a lock lasts without being refreshed
# Whose properties are a server's own, here or elsewhere: nobody can set them, so a listing need not look for them in each member.
LIVE_NAMESPACES = frozenset(("DAV:", "http://owncloud.org/ns", "http://nextcloud.org/ns", "http://srm.lbl.gov/StorageResourceManager"))
_MOST_UNPACKED_BYTES = 128 * 1024
_TOKEN = re.compile(r"[!-;=?-~]{1,200}")  # as a URL between < and >
_FORM = b"\x01"
_UNSUPPORTED = frozenset((errno.EOPNOTSUPP, errno.ENOSYS))
_TOO_LARGE = frozenset((errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.EDQUOT))

File = int | str | bytes  # an open descriptor, or a path below /proc/self/fd


class Lock(msgspec.Struct, frozen=True, array_like=True):
    token: str
    exclusive: bool
    deep: bool  # Depth: infinity
    owner: bytes  # the owner element as it was sent, for other clients to show
    principal: str  # who may use the token
    expires: float  # seconds since the epoch: other nodes read it too


class Annotations(msgspec.Struct, frozen=True, array_like=True):
    locks: tuple[Lock, ...] = ()
    properties: tuple[tuple[str, bytes], ...] = ()  # "{namespace}name": the whole element

    def unlocked(self) -> "Annotations":
        return Annotations((), self.properties)


NOTHING = Annotations()
_decoder = msgspec.msgpack.Decoder(Annotations)


def below_descriptor(directory: int, name: bytes = b"") -> bytes:
    """A path for attribute calls, which take no directory descriptor. Needs no permission to open the file itself."""
    return b"/proc/self/fd/%d/%b" % (directory, name) if name else b"/proc/self/fd/%d" % directory


def read(file: File) -> Annotations:
    """Locks that have expired are left out. What may not be read, and what nobody can keep, is not there."""
    try:
        packed = os.getxattr(file, ATTRIBUTE)
    except OSError:
        return NOTHING
    return unpack(packed)


def unpack(packed: bytes) -> Annotations:
    try:
        kept = _decoder.decode(_inflated(packed))
    except (msgspec.MsgspecError, zlib.error, ValueError):
        return NOTHING
    if not kept.locks:
        return kept
    now = time.time()
    return Annotations(tuple(lock for lock in kept.locks if _stands(lock, now)), kept.properties)


def _stands(lock: Lock, now: float) -> bool:
    """Not one that was made up by hand to last for ever, or to break the answers of others."""
    return now < lock.expires <= now + MOST_SECONDS + 60 and _TOKEN.fullmatch(lock.token) is not None


def _inflated(packed: bytes) -> bytes:
    if packed[:1] != _FORM:
        raise ValueError("another form")
    inflater = zlib.decompressobj()
    content = inflater.decompress(packed[1:], _MOST_UNPACKED_BYTES)
    if not inflater.eof:
        raise ValueError("too large")
    return content


def pack(kept: Annotations) -> bytes:
    return _FORM + zlib.compress(msgspec.msgpack.encode(kept), 6)


def write(file: File, kept: Annotations) -> None:
    """Refusal annotations_full, annotations_not_kept, permission_denied, ..."""
    try:
        if kept == NOTHING:
            _remove(file)
            return
        packed = pack(kept)
        if len(packed) > BUDGET_BYTES or not properties_fit(kept):
            raise Refusal("annotations_full", f"{len(packed)} bytes")
        os.setxattr(file, ATTRIBUTE, packed)
    except OSError as error:
        raise _refusal(error) from error


def properties_fit(kept: Annotations) -> bool:
    return not kept.properties or len(pack(kept.unlocked())) <= PROPERTIES_BUDGET_BYTES


def _remove(file: File) -> None:
    try:
        os.removexattr(file, ATTRIBUTE)
    except OSError as error:
        if error.errno not in {errno.ENODATA, *_UNSUPPORTED}:
            raise


def _refusal(error: OSError) -> Refusal:
    if error.errno in _UNSUPPORTED:
        return Refusal("annotations_not_kept", str(error))
    if error.errno in _TOO_LARGE:
        return Refusal("annotations_full", str(error))
    return refusal_of(error)


def supported(file: File) -> bool:
    """Whether the file system can keep attributes at all; where we may not look, it is taken to."""
    try:
        os.getxattr(file, ATTRIBUTE)
    except OSError as error:
        return error.errno not in _UNSUPPORTED
    return True


def merge(file: File, source: bytes) -> None:
    """Properties of what was copied, locks of what stood here (RFC 4918, sections 7.5 and 9.8.2). As good as it goes."""
    with contextlib.suppress(Refusal):
        write(file, Annotations(read(file).locks, unpack(source).properties))
