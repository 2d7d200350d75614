"""When a child that ended unexpectedly is started again: at once, then ever later, as long as it keeps ending early. Pure."""

from dataclasses import dataclass

DELAYS_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
SETTLED_AFTER_S = 60.0


@dataclass
class Backoff:
    failures: int = 0

    def delay_s(self, lived_s: float) -> float:
        """How long to wait after an unexpected end of a child that lived for so long."""
        if lived_s >= SETTLED_AFTER_S:
            self.failures = 0
        delay = DELAYS_S[min(self.failures, len(DELAYS_S) - 1)]
        self.failures += 1
        return delay
