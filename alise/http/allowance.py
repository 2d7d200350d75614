"""How much a client may do in a minute: a bucket for each that fills evenly. In memory, bounded, of this process alone."""

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_CLIENTS = 20_000


class Allowance:
    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._rate, self._clock = float(per_minute), per_minute / 60.0, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, when

    def wait_s(self, client: str) -> float:
        """0: the client may go on."""
        left = self._left(client)
        return 0.0 if left >= 1 else (1 - left) / self._rate

    def spend(self, client: str) -> None:
        left = self._left(client)
        self._buckets[client] = (max(0.0, left - 1), self._clock())
        self._buckets.move_to_end(client)
        while len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)

    def _left(self, client: str) -> float:
        left, since = self._buckets.get(client, (self._most, 0.0))
        return min(self._most, left + (self._clock() - since) * self._rate)
