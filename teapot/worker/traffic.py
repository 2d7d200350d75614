"""How many requests are open in the whole worker, and since when there are none."""

import threading
import time
from collections.abc import Callable


class Traffic:
    def __init__(self, woken: Callable[[], None] = lambda: None) -> None:
        """`woken` is called when a request comes although the spawner was told that there is none."""
        self._lock = threading.Lock()
        self._woken = woken
        self.told_idle = False
        self.open = 0
        self.idle_since = time.monotonic()
        self.leaving = False

    def change(self, by: int) -> None:
        with self._lock:
            self.open += by
            if self.open == 0:
                self.idle_since = time.monotonic()
        if self.told_idle and by > 0:
            self.told_idle = False
            self._woken()

    def leave_if_idle(self) -> bool:
        """From now on nothing is begun, if nothing is open."""
        with self._lock:
            self.leaving = self.leaving or self.open == 0
            return self.leaving and self.open == 0

    def leave(self) -> None:
        self.leaving = True
