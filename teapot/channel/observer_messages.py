"""Observer and the gateways, the authority: how are you, and what have you counted?

    observer  Scrape(ask)      gateway, authority  Scraped(ask, ready, counts)

Counts are running totals since the process started; the observer adds them up over processes, dead ones included.
A series is its name with its labels in the order of the label names in observer/metrics.py.
"""

from msgspec import Struct


class Scrape(Struct, frozen=True, array_like=True, tag=0):
    ask: int


class Scraped(Struct, frozen=True, array_like=True, tag=1):
    ask: int
    ready: bool
    counters: dict[str, list[tuple[tuple[str, ...], float]]]  # metric: [(label values, total)]
    gauges: dict[str, list[tuple[tuple[str, ...], float]]]
    histograms: dict[str, list[tuple[tuple[str, ...], tuple[int, ...], float]]]  # metric: [(labels, per-bucket, sum)]


LATENCY_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)

ToProcess = Scrape
FromProcess = Scraped
