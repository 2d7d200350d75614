"""Checksums of content as it passes: adler32, crc32c, md5, sha-256; sha (SHA-1) only to verify what clients send along. Pure."""

import hashlib
import zlib
from collections.abc import Callable
from typing import Protocol

import google_crc32c

# The first is the cheapest. Of each: its length in bytes.
ALGORITHMS = {"adler32": 4, "crc32c": 4, "md5": 16, "sha-256": 32}
LENGTHS = {**ALGORITHMS, "sha": 20}
_MODULUS = 65521

Values = dict[str, bytes]  # algorithm: value in binary form


class Hash(Protocol):
    def update(self, data: memoryview, /) -> None: ...

    def digest(self) -> bytes: ...


class Adler32:
    def __init__(self, value: int = 1) -> None:
        self.value = value

    def update(self, data: memoryview) -> None:
        self.value = zlib.adler32(data, self.value)

    def digest(self) -> bytes:
        return self.value.to_bytes(4, "big")


class _Crc32c:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: memoryview) -> None:
        self._value = google_crc32c.extend(self._value, bytes(data))

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


_NEW: dict[str, Callable[[], Hash]] = {
    "adler32": Adler32,
    "crc32c": _Crc32c,
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "sha-256": hashlib.sha256,
    "sha": lambda: hashlib.sha1(usedforsecurity=False),
}


def new(algorithm: str) -> Hash:
    """One of LENGTHS."""
    return _NEW[algorithm]()


def joined(first: int, second: int, length: int) -> int:
    """adler32 of two contents, one after the other; `length` of the second."""
    low, high = first & 0xFFFF, first >> 16
    low_of_both = (low + (second & 0xFFFF) - 1) % _MODULUS
    high_of_both = (high + (second >> 16) + length * (low - 1)) % _MODULUS
    return high_of_both << 16 | low_of_both


def of_zeros(length: int) -> int:
    """adler32 of so many zeros."""
    return length % _MODULUS << 16 | 1
