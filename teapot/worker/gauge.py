"""How much of a storage area is used and left, by the source that the configuration names. Runs as the account, in its cage.

What a site's command says (space_commands.py) counts for a while; what fails is not told at all, never guessed.
"""

import threading
import time
from collections.abc import Callable

from teapot.configuration import Space as Settings
from teapot.space import local
from teapot.space.amounts import Answer, NotKnown, Space, limited
from teapot.space.formats import COMMANDS, read
from teapot.worker.refusal import Refusal

_REFUSED_AGAIN_AFTER_S = 2.0  # before an upload is refused a command is asked again, unless it was only just


class Gauge:
    """`group`: of new files, -1: as the kernel says. `ask`: what the site's command prints, NotKnown when it fails; waits."""

    def __init__(self, settings: Settings, group: int, ask: Callable[[], bytes]) -> None:
        self._settings, self._group, self._ask = settings, group, ask
        self._asking = threading.Lock()
        self._answer: Answer | None = None
        self._answered = -float("inf")

    def read(self, descriptor: int) -> Space | None:
        """None: not known."""
        return self._read(descriptor, self._settings.cache_s)

    def refuse_by_account(self, descriptor: int, length: int) -> None:
        """Where the kernel knows nothing of the limits. Refusal when so many bytes more will not fit."""
        if self._settings.source not in (*COMMANDS, "cephfs"):
            return
        space = self.read(descriptor)
        if space and space.available < length:
            space = self._read(descriptor, _REFUSED_AGAIN_AFTER_S)
        if space and space.available < length:
            raise Refusal("allotment_exceeded", f"{length} bytes announced, {space.available} available")

    def refuse_by_kernel(self, descriptor: int, length: int) -> None:
        """For a file system that reserves nothing in advance. Refusal as refuse_by_account."""
        if local.of_file_system(descriptor).available < length:
            raise Refusal("no_space", f"{length} bytes announced")
        if local.with_quotas(descriptor, self._group).available < length:
            raise Refusal("quota_exceeded", f"{length} bytes announced")

    def _read(self, descriptor: int, at_most_old_s: float) -> Space | None:
        try:
            return self._by_source(descriptor, at_most_old_s)
        except (OSError, NotKnown):
            return None

    def _by_source(self, descriptor: int, at_most_old_s: float) -> Space:
        source = self._settings.source
        if source == "quota":
            return local.with_quotas(descriptor, self._group)
        if source == "file-system":
            return local.of_file_system(descriptor)
        if source == "cephfs":
            return local.of_cephfs(descriptor)
        answer = self._told(at_most_old_s)
        if isinstance(answer, NotKnown):
            raise answer
        return answer if isinstance(answer, Space) else limited(answer, local.of_file_system(descriptor))

    def _told(self, at_most_old_s: float) -> Answer:
        """One thread asks; meanwhile the others take the last answer, or wait if there is none, or none that is good enough for a refusal.

        A failure counts as long as an answer: a broken command starts no storm.
        """
        known, wait = self._answer, at_most_old_s < self._settings.cache_s
        if known is not None and self._is_fresh(at_most_old_s):
            return known
        if not self._asking.acquire(blocking=known is None or wait) and known is not None:
            return known
        try:
            if self._answer is None or not self._is_fresh(at_most_old_s):
                self._answer, self._answered = self._asked(), time.monotonic()
            return self._answer
        finally:
            self._asking.release()

    def _is_fresh(self, at_most_old_s: float) -> bool:
        return time.monotonic() - self._answered <= at_most_old_s

    def _asked(self) -> Answer:
        try:
            return read(self._settings.source, self._ask())
        except NotKnown as failed:
            return failed
