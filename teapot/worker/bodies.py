"""Bodies of answers that are too large for one packet, sent piece by piece into a stream that never makes us wait.

    length        as announced; None when nobody knows it before the end
    send(stream)  moves some bytes and says how many; 0: that was all. BlockingIOError: not now. BrokenBody: it cannot be completed.
    close()       gives up what it holds
"""

import contextlib
import os
import socket
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import Protocol

from teapot.worker.ranges import Range

STEP_BYTES = 1 << 20


class BrokenBody(Exception):
    """What was announced cannot be sent."""


class Body(Protocol):
    length: int | None

    def send(self, stream: socket.socket) -> int: ...

    def close(self) -> None: ...


class FileBody:
    """Pieces of a file, and bytes between them. Owns the descriptor."""

    def __init__(self, descriptor: int, parts: Iterable[Range | bytes]) -> None:
        self._descriptor = descriptor
        self._parts = deque(parts)
        self.length: int | None = sum(len(part) if isinstance(part, bytes) else part.length for part in self._parts)

    def send(self, stream: socket.socket) -> int:
        if not self._parts:
            return 0
        part = self._parts[0]
        sent = stream.send(part) if isinstance(part, bytes) else self._send_file(stream, part)
        rest = part[sent:] if isinstance(part, bytes) else Range(part.start + sent, part.length - sent)
        if isinstance(rest, bytes) and rest or isinstance(rest, Range) and rest.length:
            self._parts[0] = rest
        else:
            self._parts.popleft()
        return sent

    def _send_file(self, stream: socket.socket, part: Range) -> int:
        sent = os.sendfile(stream.fileno(), self._descriptor, part.start, min(part.length, STEP_BYTES))
        if not sent:
            raise BrokenBody(f"the file ends at {part.start}, {part.length} bytes too early")
        return sent

    def in_memory(self) -> bytes:
        """All of it at once, for what fits into a packet."""
        return b"".join(part if isinstance(part, bytes) else self._read(part) for part in self._parts)

    def _read(self, part: Range) -> bytes:
        data = os.pread(self._descriptor, part.length, part.start)
        if len(data) != part.length:
            raise BrokenBody(f"{len(data)} instead of {part.length} bytes at {part.start}")
        return data

    def close(self) -> None:
        os.close(self._descriptor)


class GeneratedBody:
    """Made while it is sent, so that its size does not matter; nobody knows its length before."""

    length: int | None = None

    def __init__(self, pieces: Generator[bytes, None, None]) -> None:
        self._pieces = pieces
        self._begun: list[bytes] = []
        self._rest = memoryview(b"")

    def small(self, limit: int) -> bytes | None:
        """The whole body if it has at most so many bytes; else None, and what was made is sent first."""
        size = 0
        for piece in self._pieces:
            self._begun.append(piece)
            size += len(piece)
            if size > limit:
                self._rest = memoryview(b"".join(self._begun))
                return None
        return b"".join(self._begun)

    def send(self, stream: socket.socket) -> int:
        if not self._rest:
            self._rest = memoryview(self._next(self._pieces))
            if not self._rest:
                return 0
        sent = stream.send(self._rest)
        self._rest = self._rest[sent:]
        return sent

    @staticmethod
    def _next(pieces: Iterator[bytes]) -> bytes:
        try:
            return next(pieces, b"")
        except OSError as failed:
            raise BrokenBody(str(failed)) from failed

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._pieces.close()
