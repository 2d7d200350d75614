"""Accounts that were refused a moment ago: who asks for one again and again must not start a process, and ask PAM, each time.

In the spawner's memory only, and bounded; the oldest are forgotten first.
"""

from collections.abc import Iterable

REMEMBERED_S = 3.0  # short: somebody who was refused does something about it, and comes again
_MAX_REMEMBERED = 1000


class Refusals:
    def __init__(self) -> None:
        self._until: dict[str, float] = {}  # by the name that was asked for; in the order of time

    def note(self, names: Iterable[str], now: float) -> None:
        for name in names:
            self._until.pop(name, None)
            self._until[name] = now + REMEMBERED_S
        while len(self._until) > _MAX_REMEMBERED:
            del self._until[next(iter(self._until))]

    def stand(self, name: str, now: float) -> bool:
        return self._until.get(name, 0.0) > now
