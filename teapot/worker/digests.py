"""Digests in HTTP headers: which one a client wants, and which it sent along. Pure; computes nothing.

Two generations are spoken: Digest and Want-Digest (RFC 3230, what davix, FTS, dCache and Rucio use) and Repr-Digest and
Want-Repr-Digest (RFC 9530, newer XRootD); with a body also Content-Digest, Content-MD5 and ownCloud's OC-Checksum. adler32 and crc32c are
always eight lower-case hex digits, because davix takes no other number of them.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from teapot.worker.hashing import ALGORITHMS, LENGTHS

# As they are written, in lower case. RFC 9530's registry, RFC 3230's, and what XRootD and ownCloud's clients say.
_NAMES = {name: name for name in LENGTHS} | {"adler": "adler32", "sha256": "sha-256", "sha1": "sha", "sha-1": "sha"}
_IN_HEX = ("adler32", "crc32c")  # in Digest
OF_THE_BODY = frozenset(("content-digest", "content-md5", "oc-checksum"))  # fields about what is sent, be it the whole file or a part
_BYTES_ITEM = re.compile(r":([A-Za-z0-9+/=]*):")


class BadDigest(Exception):
    """A digest that came with a body and cannot be read: 400."""


class Wish(NamedTuple):
    algorithm: str
    field: bytes  # in which to answer: digest | repr-digest

    def answer(self, digest: bytes) -> tuple[bytes, bytes]:
        """The header field for a digest in binary form."""
        if self.field == b"repr-digest":
            name = "adler" if self.algorithm == "adler32" else self.algorithm
            return self.field, f"{name}=:{base64.b64encode(digest).decode()}:".encode()
        text = digest.hex() if self.algorithm in _IN_HEX else base64.b64encode(digest).decode()
        return self.field, f"{self.algorithm}={text}".encode()


def wish(fields: Mapping[str, bytes]) -> Wish | None:
    """The one digest to answer with; Want-Digest wins over Want-Repr-Digest. None: none that is known is wanted."""
    if (value := fields.get("want-digest")) is not None:
        best = _best((name, _weight(rest)) for name, rest in _items(value, ";"))
        return Wish(best, b"digest") if best else None
    if (value := fields.get("want-repr-digest")) is not None:
        best = _best((name, _preference(rest)) for name, rest in _items(value, "="))
        return Wish(best, b"repr-digest") if best else None
    return None


def sent(fields: Mapping[str, bytes]) -> dict[str, bytes]:
    """algorithm: digest in binary form, of those known here that came with a body. Unknown algorithms are not looked at."""
    found: dict[str, bytes] = {}
    for algorithm, digest in _sent(fields):
        if found.setdefault(algorithm, digest) != digest:
            raise BadDigest(f"two different values of {algorithm}")
    return found


def _sent(fields: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for header, separator, read in (
        ("digest", "=", _read_digest),
        ("repr-digest", "=", _read_repr_digest),
        ("content-digest", "=", _read_repr_digest),
        ("oc-checksum", ":", _read_hex),
    ):
        for name, value in _items(fields.get(header, b""), separator):
            if algorithm := _NAMES.get(name):
                yield algorithm, read(algorithm, value)
    if "content-md5" in fields:
        yield "md5", _base64("md5", fields["content-md5"].decode("latin-1").strip())


def _items(value: bytes, separator: str) -> list[tuple[str, str]]:
    pairs = (piece.strip().partition(separator) for piece in value.decode("latin-1").split(","))
    return [(name.strip().lower(), rest.strip()) for name, _, rest in pairs]


def _best(weighted: Iterable[tuple[str, float]]) -> str | None:
    """The one that is wanted most; of equals the cheapest."""
    known = {_NAMES[name]: weight for name, weight in weighted if _NAMES.get(name) in ALGORITHMS and weight > 0}
    return max(known, key=lambda name: (known[name], -list(ALGORITHMS).index(name)), default=None)


def _weight(parameters: str) -> float:
    match = re.search(r"(?:^|;)\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*(?:;|$)", parameters)
    return float(match[1]) if match else 0.0 if "q=" in parameters else 1.0


def _preference(value: str) -> float:
    number = value.split(";")[0].strip()
    return float(number) if number.isdecimal() and len(number) <= 2 else 0.0


def _read_digest(algorithm: str, value: str) -> bytes:
    if algorithm == "adler32" or re.fullmatch(r"[0-9a-fA-F]+", value) and (algorithm in _IN_HEX or len(value) == 2 * LENGTHS[algorithm]):
        return _read_hex(algorithm, value)  # of md5 not the form of the RFC, but common
    return _base64(algorithm, value)  # of crc32c as XRootD 5 writes it


def _read_hex(algorithm: str, value: str) -> bytes:
    """Leading zeros may be missing, as some clients have it for adler32."""
    digits = 2 * LENGTHS[algorithm]
    padded = value.rjust(digits, "0") if algorithm in _IN_HEX and value else value
    if not re.fullmatch(r"[0-9a-fA-F]+", padded) or len(padded) != digits:
        raise BadDigest(f"{algorithm} is not {digits} hex digits")
    return bytes.fromhex(padded)


def _read_repr_digest(algorithm: str, value: str) -> bytes:
    match = _BYTES_ITEM.match(value)
    if not match:
        raise BadDigest("not a byte sequence of RFC 8941")
    return _base64(algorithm, match[1])


def _base64(algorithm: str, value: str) -> bytes:
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as wrong:
        raise BadDigest("not base64") from wrong
    if len(digest) != LENGTHS[algorithm]:
        raise BadDigest(f"{len(digest)} bytes instead of {LENGTHS[algorithm]}")
    return digest
