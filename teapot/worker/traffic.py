"""How many requests are open in the whole worker, and since when there are none."""

import threading
import time


class Traffic:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.open = 0
        self.idle_since = time.monotonic()
        self.leaving = False

    def begin(self) -> bool:
        """False: the worker is leaving, nothing is begun any more."""
        with self._lock:
            if self.leaving:
                return False
            self.open += 1
            return True

    def end(self) -> None:
        with self._lock:
            self.open -= 1
            if self.open == 0:
                self.idle_since = time.monotonic()

    def leave_if_idle(self) -> bool:
        """From now on nothing is begun, if nothing is open."""
        with self._lock:
            self.leaving = self.leaving or self.open == 0
            return self.leaving and self.open == 0

    def leave(self) -> None:
        with self._lock:
            self.leaving = True
