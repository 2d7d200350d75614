"""Whether somebody who does not answer is to be asked again now. Pure: the caller tells the time and the outcomes.

After a few failures in a row nobody waits for him any more; from time to time one question is let through to see.
"""

FAILURES = 3
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 15.0


class Breaker:
    def __init__(self) -> None:
        self._failures = 0
        self._closed_until = 0.0

    @property
    def failures(self) -> int:
        """In a row."""
        return self._failures

    def admits(self, now: float) -> bool:
        """True: ask him. After a pause that is so for one question, and for the next one after another pause."""
        if self._failures < FAILURES:
            return True
        if now < self._closed_until:
            return False
        self._closed_until = now + self._pause_s()
        return True

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, now: float) -> None:
        self._failures += 1
        self._closed_until = now + self._pause_s()

    def _pause_s(self) -> float:
        beyond = min(self._failures - FAILURES, 10)
        return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** max(0, beyond))
