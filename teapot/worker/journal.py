"""Hidden names that exist for a moment, noted before they are made, so that a worker that dies leaves a note of what to remove.

One file a name, in the account's folder of the spool; each note holds the directory's path and the name. A later worker of the account
removes exactly what is noted, and only what no live worker holds. Without a usable spool nothing is noted: the name says whose it is.
"""

import contextlib
import fcntl
import os
import re

_NAME = re.compile(rb"\.teapot-[0-9a-f]{24}")


class Journal:
    def __init__(self, folder: int | None) -> None:
        """`folder`: descriptor of the account's folder in the spool; None: there is none."""
        self._folder = folder
        self._notes: dict[bytes, int] = {}

    def note(self, directory: int, name: bytes) -> None:
        if self._folder is None:
            return
        where = os.readlink(f"/proc/self/fd/{directory}".encode())
        note = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self._folder)
        fcntl.flock(note, fcntl.LOCK_EX)  # held as long as we live
        os.write(note, where)
        os.fsync(note)
        self._notes[name] = note

    def forget(self, name: bytes) -> None:
        note = self._notes.pop(name, None)
        if note is not None and self._folder is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._folder)
            os.close(note)

    def recover(self) -> int:
        """Remove what dead workers of this account left; how many names that were."""
        if self._folder is None:
            return 0
        return sum(self._recover(os.fsencode(name)) for name in os.listdir(self._folder))

    def _recover(self, name: bytes) -> bool:
        folder = self._folder
        assert folder is not None
        if not _NAME.fullmatch(name):
            return False
        with contextlib.suppress(OSError):
            note = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its worker lives
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    os.unlink(os.path.join(os.read(note, 8192), name))
                os.unlink(name, dir_fd=folder)
                return True
            finally:
                os.close(note)
        return False
