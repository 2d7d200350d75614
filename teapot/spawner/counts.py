"""What the spawner has counted since it started, as the observer is told it (spawner_messages.LISTED)."""

from collections import Counter

from teapot.spawner.workers import State, Workers


class Counts:
    def __init__(self) -> None:
        self.started = 0
        self.start_seconds = 0.0
        self.ended_unexpectedly = 0
        self.refused: Counter[str] = Counter()

    def as_text(self, workers: Workers, rows: int) -> str:
        """name=value, separated by blanks; well below a message's size, whatever was counted."""
        by_state = workers.by_state()
        values: dict[str, float] = {
            "started": self.started,
            "start_seconds": round(self.start_seconds, 6),
            "ended_unexpectedly": self.ended_unexpectedly,
            "rows": rows,
        }
        values |= {f"workers_{state.value}": by_state[state] for state in State}
        values |= {f"refused_{reason}": number for reason, number in self.refused.items()}
        return " ".join(f"{name}={value}" for name, value in values.items())
