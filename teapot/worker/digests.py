"""Digests in HTTP headers: which one a client wants, and which it sent along. Pure; computes nothing.

Two generations are spoken: Digest and Want-Digest (RFC 3230, what davix, FTS, dCache and Rucio use) and Repr-Digest and
Want-Repr-Digest (RFC 9530, newer XRootD). adler32 is always eight lower-case hex digits, because davix takes no other number of them.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import NamedTuple

ALGORITHMS = ("adler32", "md5")  # the first is the cheaper one: it is stored with the file
_NAMES = {"adler32": "adler32", "adler": "adler32", "md5": "md5"}
_HEX_ADLER32 = re.compile(r"[0-9a-f]{1,8}")
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
        text = digest.hex() if self.algorithm == "adler32" else base64.b64encode(digest).decode()
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
    for header, read in (("digest", _read_digest), ("repr-digest", _read_repr_digest)):
        for name, value in _items(fields.get(header, b""), "="):
            algorithm = _NAMES.get(name)
            if algorithm is None:
                continue
            digest = read(algorithm, value)
            if found.setdefault(algorithm, digest) != digest:
                raise BadDigest(f"two different values of {algorithm}")
    return found


def _items(value: bytes, separator: str) -> list[tuple[str, str]]:
    pairs = (piece.strip().partition(separator) for piece in value.decode("latin-1").split(","))
    return [(name.strip().lower(), rest.strip()) for name, _, rest in pairs]


def _best(weighted: object) -> str | None:
    known = {_NAMES[name]: weight for name, weight in weighted if name in _NAMES and weight > 0}  # type: ignore[attr-defined]
    return max(known, key=lambda name: (known[name], -ALGORITHMS.index(name)), default=None)


def _weight(parameters: str) -> float:
    match = re.search(r"(?:^|;)\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*(?:;|$)", parameters)
    return float(match[1]) if match else 0.0 if "q=" in parameters else 1.0


def _preference(value: str) -> float:
    number = value.split(";")[0].strip()
    return float(number) if number.isdecimal() and len(number) <= 2 else 0.0


def _read_digest(algorithm: str, value: str) -> bytes:
    if algorithm == "adler32":
        if not _HEX_ADLER32.fullmatch(value.lower()):
            raise BadDigest("adler32 is not up to eight hex digits")
        return bytes.fromhex(value.rjust(8, "0"))
    if re.fullmatch(r"[0-9a-fA-F]{32}", value):
        return bytes.fromhex(value)  # not the form of the RFC, but common
    return _base64(value, 16)


def _read_repr_digest(algorithm: str, value: str) -> bytes:
    match = _BYTES_ITEM.match(value)
    if not match:
        raise BadDigest("not a byte sequence of RFC 8941")
    return _base64(match[1], 4 if algorithm == "adler32" else 16)


def _base64(value: str, length: int) -> bytes:
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as wrong:
        raise BadDigest("not base64") from wrong
    if len(digest) != length:
        raise BadDigest(f"{len(digest)} bytes instead of {length}")
    return digest
