"""Hidden names that exist for a moment, noted before they are made, so that a worker that dies leaves a note of what to remove.

Notes are small files in the account's folder of the spool, used again and again, each locked (flock) by the worker that writes to it. A
later worker of the account removes exactly what is noted, with the account's rights, and only what no live worker holds; no tree is ever
walked. Without a usable spool nothing is noted. What lies in a directory that was renamed before the recovery stays there.
"""

import contextlib
import fcntl
import os
import re
import secrets
import threading

from teapot.worker.refusal import Refusal

_NAME = re.compile(rb"\.teapot-[0-9a-f]{24}")
_MAX_NOTE_BYTES = 8192
_MAX_SPARE = 16  # notes that are kept for the next name: making one costs more than writing it


def hidden_name() -> bytes:
    return b".teapot-" + secrets.token_hex(12).encode()


def is_hidden(name: bytes) -> bool:
    """Of the form that half-written files have; whether it is one nobody but its worker knows."""
    return _NAME.fullmatch(name) is not None


class _Note:
    """name NUL directory NUL; empty, or beginning with NUL: nothing is noted."""

    def __init__(self, folder: int) -> None:
        self.name = hidden_name()
        self.descriptor = self._create(folder)

    def _create(self, folder: int) -> int:
        """Locked as long as we live. A recovery that saw it before it was locked has removed it: once more then."""
        while True:
            descriptor = os.open(self.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return descriptor
            os.close(descriptor)

    def write(self, name: bytes, directory: int) -> None:
        os.pwrite(self.descriptor, b"%b\0%b\0" % (name, os.readlink(b"/proc/self/fd/%d" % directory)), 0)

    def clear(self) -> None:
        os.pwrite(self.descriptor, b"\0", 0)


class Journal:
    def __init__(self, folder: int | None) -> None:
        """`folder`: descriptor of the account's folder in the spool; None: there is none."""
        self._folder = folder
        self._used: dict[bytes, _Note] = {}
        self._spare: list[_Note] = []
        self._lock = threading.Lock()

    def note(self, directory: int, name: bytes, *, durable: bool) -> None:
        """To be called before the name is made. `durable`: not even a power failure loses the note."""
        if self._folder is None:
            return
        try:
            note = self._take(self._folder, name)
            note.write(name, directory)
            if durable:
                os.fsync(note.descriptor)
                os.fsync(self._folder)
        except OSError as error:  # not to be told as the storage's: a full spool is no full storage
            self.forget(name)
            raise Refusal("storage_error", f"the spool does not take a note: {error}") from error

    def _take(self, folder: int, name: bytes) -> _Note:
        with self._lock:
            note = self._spare.pop() if self._spare else _Note(folder)
            self._used[name] = note
        return note

    def forget(self, name: bytes) -> None:
        """To be called when the name is gone. Once more does no harm."""
        with self._lock:
            note = self._used.pop(name, None)
            if note is None:
                return
            with contextlib.suppress(OSError):  # then it names what is gone
                note.clear()
            keep = len(self._spare) < _MAX_SPARE
            if keep:
                self._spare.append(note)
        if not keep:
            self._give_up(note)

    def close(self) -> None:
        """At the end of a worker that leaves in peace: nothing is left in the spool."""
        with self._lock:
            spare, self._spare = self._spare, []
        for note in spare:
            self._give_up(note)

    def _give_up(self, note: _Note) -> None:
        with contextlib.suppress(OSError):
            os.unlink(note.name, dir_fd=self._folder)
        os.close(note.descriptor)

    def recover(self) -> int:
        """Remove what dead workers of this account left; how many names that were. What cannot be removed now stays noted."""
        if self._folder is None:
            return 0
        notes = [os.fsencode(name) for name in os.listdir(self._folder)]
        return sum(self._recover(self._folder, note) for note in notes if is_hidden(note))

    def _recover(self, folder: int, note: bytes) -> bool:
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            descriptor = os.open(note, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its worker lives; NFS wants the note open for writing
            removed = _remove(os.read(descriptor, _MAX_NOTE_BYTES))
            os.unlink(note, dir_fd=folder)
            return removed
        return False


def _remove(noted: bytes) -> bool:
    name, _, rest = noted.partition(b"\0")
    directory, end, _ = rest.partition(b"\0")
    if not is_hidden(name) or not directory.startswith(b"/") or not end:
        return False
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(directory + b"/" + name)
        return True
    return False
