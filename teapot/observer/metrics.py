"""The service's metrics: the one list of what exists, and the sum over all processes, those that have ended included."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from teapot.channel.observer_messages import LATENCY_BUCKETS_S, Scraped

COUNTERS = {
    "teapot_requests_total": ("Requests answered.", ("method", "status")),
    "teapot_errors_total": ("Requests that failed, by the code of their problem.", ("code",)),
    "teapot_sent_bytes_total": ("Bytes of bodies sent to clients.", ()),
    "teapot_received_bytes_total": ("Bytes of bodies received from clients.", ()),
    "teapot_identify_cache_total": ("Look-ups of a token in a gateway's cache.", ("outcome",)),
    "teapot_identify_total": ("Tokens that the authority was asked about.", ("outcome",)),
    "teapot_workers_started_total": ("Workers started.", ()),
    "teapot_worker_start_seconds_total": ("Time from fork to ready, of all workers started.", ()),
    "teapot_workers_ended_unexpectedly_total": ("Workers that crashed or were killed.", ()),
    "teapot_reach_refused_total": ("Channels that the spawner refused.", ("reason",)),
}
GAUGES = {
    "teapot_open_requests": ("Requests being served.", ()),
    "teapot_connections": ("Client connections.", ()),
    "teapot_workers": ("Worker processes.", ("state",)),
}
HISTOGRAMS = {"teapot_step_seconds": ("Time of the steps of a request.", ("step",))}

MAX_SERIES = 500  # of one metric: a process that was captured cannot fill our memory
_MAX_LABEL = 64

Labels = tuple[str, ...]


class Totals:
    """What one process has counted, or several together."""

    def __init__(self) -> None:
        self.counters: defaultdict[str, dict[Labels, float]] = defaultdict(dict)
        self.gauges: defaultdict[str, dict[Labels, float]] = defaultdict(dict)
        self.histograms: defaultdict[str, dict[Labels, tuple[tuple[int, ...], float]]] = defaultdict(dict)

    @classmethod
    def of(cls, scraped: Scraped) -> "Totals":
        """Only metrics that exist, with as many labels as they have, in bounded number."""
        totals = cls()
        for known, given, into in ((COUNTERS, scraped.counters, totals.counters), (GAUGES, scraped.gauges, totals.gauges)):
            for name, series in given.items():
                for labels, value in series[:MAX_SERIES] if name in known else ():
                    if _fits(labels, known[name][1]):
                        into[name][labels] = value
        for name, buckets in scraped.histograms.items():
            for labels, counts, total in buckets[:MAX_SERIES] if name in HISTOGRAMS else ():
                if _fits(labels, HISTOGRAMS[name][1]) and len(counts) == len(LATENCY_BUCKETS_S) + 1:
                    totals.histograms[name][labels] = counts, total
        return totals

    def add(self, other: "Totals", *, gauges: bool) -> None:
        for name, series in other.counters.items():
            for labels, value in series.items():
                self.counters[name][labels] = self.counters[name].get(labels, 0.0) + value
        for name, series in other.gauges.items() if gauges else ():
            for labels, value in series.items():
                self.gauges[name][labels] = self.gauges[name].get(labels, 0.0) + value
        for name, buckets in other.histograms.items():
            for labels, (counts, total) in buckets.items():
                old, old_total = self.histograms[name].get(labels, ((0,) * len(counts), 0.0))
                self.histograms[name][labels] = tuple(map(sum, zip(old, counts, strict=True))), old_total + total


def _fits(labels: Labels, names: tuple[str, ...]) -> bool:
    return len(labels) == len(names) and all(len(label) <= _MAX_LABEL for label in labels)


def spawner_totals(text: str) -> Totals:
    """From the counters of spawner_messages.LISTED."""
    totals = Totals()
    values = {name: float(value) for name, _, value in (word.partition("=") for word in text.split())}
    for name, metric in (
        ("started", "teapot_workers_started_total"),
        ("start_seconds", "teapot_worker_start_seconds_total"),
        ("ended_unexpectedly", "teapot_workers_ended_unexpectedly_total"),
    ):
        totals.counters[metric][()] = values.get(name, 0.0)
    for name, value in values.items():
        if name.startswith("workers_"):
            totals.gauges["teapot_workers"][(name.removeprefix("workers_"),)] = value
        elif name.startswith("refused_"):
            totals.counters["teapot_reach_refused_total"][(name.removeprefix("refused_"),)] = value
    return totals


class _Collector:
    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        for name, (text, labels) in COUNTERS.items():
            counter = CounterMetricFamily(name, text, labels=labels)
            _fill(counter, self._totals.counters[name].items())
            yield counter
        for name, (text, labels) in GAUGES.items():
            gauge = GaugeMetricFamily(name, text, labels=labels)
            _fill(gauge, self._totals.gauges[name].items())
            yield gauge
        for name, (text, labels) in HISTOGRAMS.items():
            histogram = HistogramMetricFamily(name, text, labels=labels)
            for values, (counts, total) in self._totals.histograms[name].items():
                histogram.add_metric(values, _cumulated(counts), total)
            yield histogram


def _fill(family: CounterMetricFamily | GaugeMetricFamily, series: Iterable[tuple[Labels, float]]) -> None:
    for labels, value in series:
        family.add_metric(labels, value)


def _cumulated(counts: tuple[int, ...]) -> list[tuple[str, float]]:
    bounds = [*(str(bound) for bound in LATENCY_BUCKETS_S), "+Inf"]
    return [(bound, float(sum(counts[: place + 1]))) for place, bound in enumerate(bounds)]


def exposition(totals: Totals) -> bytes:
    """In Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(totals))
    return generate_latest(registry)
