"""The two directions of the pump: a body that is sent from files and generated pieces, and one that is received into an upload."""

import itertools
import os
import socket
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

from teapot.worker.pump import PIECE, Pump
from teapot.worker.refusal import Refusal, refusal_of
from teapot.worker.upload import Upload

_TAIL = 4096


class Piece(NamedTuple):
    """A part of an open file."""

    offset: int
    length: int


class Body:
    """What an answer consists of: pieces of one file, bytes, or both in turn. Owns the file's descriptor."""

    def __init__(
        self, parts: Iterator[Piece | bytes], length: int | None, descriptor: int = -1, seen: os.stat_result | None = None
    ) -> None:
        """`seen`: the file's status, on which the answer's head was made."""
        self.parts = self._source = parts
        self.length = length
        self.descriptor = descriptor
        self._seen = seen

    def is_other(self) -> bool:
        """The file was rewritten since: what was sent may be half of the one and half of the other. That it has only grown is no harm."""
        if self._seen is None or self.descriptor < 0:
            return False
        now, seen = os.fstat(self.descriptor), self._seen
        return now.st_size < seen.st_size or now.st_size == seen.st_size and now.st_mtime_ns != seen.st_mtime_ns

    def close(self) -> None:
        """Not while a part is being made."""
        if isinstance(self._source, Generator):
            self._source.close()  # a listing holds its directory open
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def whole(self, at_most: int) -> bytes | None:
        """All of it, and the file is closed; None: it is longer, and nothing of it is lost."""
        if self.length is None:
            return self._generated(at_most)
        if self.length > at_most:
            return None
        try:
            with_files = (os.pread(self.descriptor, part.length, part.offset) if isinstance(part, Piece) else part for part in self.parts)
            content = b"".join(with_files)
            if len(content) != self.length or self.is_other():
                raise Refusal("file_changed", "while it was read")
        finally:
            self.close()
        return content

    def _generated(self, at_most: int) -> bytes | None:
        """Of bytes only; how many shows when they are made."""
        begun: list[Piece | bytes] = []
        size = 0
        for part in self.parts:
            begun.append(part)
            size += len(part)
            if size > at_most:
                self.parts = itertools.chain(begun, self.parts)
                return None
        return b"".join(part for part in begun if isinstance(part, bytes))


Ended = Callable[[int, bool, str], None]  # bytes moved, complete, detail


class Sending:
    def __init__(self, pump: Pump, stream: socket.socket, body: Body, ended: Ended) -> None:
        self._pump, self._stream, self._body, self._ended = pump, stream, body, ended
        self._part: Piece | memoryview | None = None
        self._sent = 0
        self.cancelled = False

    def fileno(self) -> int:
        return self._stream.fileno()

    def step(self) -> bool:
        try:
            return self._step()
        except BlockingIOError:
            return True
        except Refusal as refusal:
            self._end(False, refusal.detail or refusal.problem)
        except OSError as error:
            self._end(False, str(error))
        except Exception as error:  # a fault of ours, or no memory: the thread that is here is needed by all other transfers
            self._end(False, f"{type(error).__name__}: {error}")
        return False

    def _step(self) -> bool:
        if self.cancelled:
            self._end(False, "cancelled")
            return False
        if not self._part:
            following = next(self._body.parts, None)
            if following is None:
                self._end(True, "")
                return False
            self._part = memoryview(following) if isinstance(following, bytes) else following
        return self._send_piece() if isinstance(self._part, Piece) else self._send_bytes(self._part)

    def _send_piece(self) -> bool:
        offset, left = self._part  # type: ignore[misc]
        if left <= _TAIL:
            return self._send_tail(offset, left)
        moved = os.sendfile(self._stream.fileno(), self._body.descriptor, offset, min(left - _TAIL, PIECE))
        if not moved:
            self._end(False, "the file was truncated while it was sent")
            return False
        self._sent += moved
        self._part = Piece(offset + moved, left - moved)
        return True

    def _send_tail(self, offset: int, left: int) -> bool:
        """Held back until it is known that all of the piece has been read from one and the same file: the client counts bytes."""
        tail = os.pread(self._body.descriptor, left, offset)
        if len(tail) < left or self._body.is_other():
            self._end(False, "the file was changed while it was sent")
            return False
        self._part = memoryview(tail)
        return self._send_bytes(self._part)

    def _send_bytes(self, data: memoryview) -> bool:
        moved = self._stream.send(data)
        self._sent += moved
        self._part = data[moved:] if moved < len(data) else None
        return True

    def _end(self, complete: bool, detail: str) -> None:
        self._pump.forget(self._stream.fileno())
        self._stream.close()
        self._body.close()
        self._ended(self._sent, complete, detail)


class Receiving:
    """Reads a stream into an upload, to its end; whether that was all of the body, the end-of-body message says."""

    def __init__(self, pump: Pump, stream: socket.socket, upload: Upload, ended: Callable[[Refusal | None], None]) -> None:
        self._pump, self._stream, self._upload, self._ended = pump, stream, upload, ended

    def fileno(self) -> int:
        return self._stream.fileno()

    def step(self) -> bool:
        try:
            data = self._stream.recv(PIECE)
            if data:
                self._upload.write(memoryview(data))
                return True
        except BlockingIOError:
            return True
        except Refusal as refusal:
            self._end(refusal)
            return False
        except OSError as error:
            self._end(refusal_of(error))
            return False
        except Exception as error:
            self._end(Refusal("internal_error", f"{type(error).__name__}: {error}"))
            return False
        self._end(None)
        return False

    def _end(self, refusal: Refusal | None) -> None:
        self._pump.forget(self._stream.fileno())
        self._stream.close()
        self._ended(refusal)
