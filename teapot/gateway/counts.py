"""What a gateway counts, as the observer is told it. Plain numbers: the observer adds them up and gives them their form."""

import bisect
import time
from collections import Counter, defaultdict

from teapot.channel.observer_messages import LATENCY_BUCKETS_S, Scraped
from teapot.gateway.identify import Authority
from teapot.gateway.receive import METHODS


class _Histogram:
    def __init__(self) -> None:
        self.buckets = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        self.buckets[bisect.bisect_left(LATENCY_BUCKETS_S, seconds)] += 1
        self.total_s += seconds


class Counts:
    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.errors: Counter[str] = Counter()
        self.sent = self.received = 0
        self.open_requests = self.connections = 0
        self._steps: defaultdict[str, _Histogram] = defaultdict(_Histogram)

    def request(self, method: str, status: int, sent: int, received: int, seconds: float) -> None:
        """Methods and statuses are few, whatever clients send."""
        self.requests[method if method in METHODS else "other", str(status)] += 1
        self.sent += sent
        self.received += received
        self._steps["total"].add(seconds)

    def step(self, name: str, began: float) -> None:
        self._steps[name].add(time.monotonic() - began)

    def scraped(self, ask: int, ready: bool, authority: Authority) -> Scraped:
        return Scraped(
            ask,
            ready,
            {
                "teapot_requests_total": [(key, float(number)) for key, number in self.requests.items()],
                "teapot_errors_total": [((code,), float(number)) for code, number in self.errors.items()],
                "teapot_sent_bytes_total": [((), float(self.sent))],
                "teapot_received_bytes_total": [((), float(self.received))],
                "teapot_identify_cache_total": [(("hit",), float(authority.hits)), (("miss",), float(authority.misses))],
            },
            {"teapot_open_requests": [((), float(self.open_requests))], "teapot_connections": [((), float(self.connections))]},
            {"teapot_step_seconds": [((name,), tuple(one.buckets), one.total_s) for name, one in self._steps.items()]},
        )
