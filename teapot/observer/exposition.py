"""Gives the merged counts the form that Prometheus reads."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

import teapot
from teapot.channel.observer_messages import LATENCY_BUCKETS_S
from teapot.observer.metrics import Family, Labels, Numbers
from teapot.observer.totals import Totals

_BOUNDS = [*map(str, LATENCY_BUCKETS_S), "+Inf"]


class Exposition(Collector):
    def __init__(self, totals: Totals) -> None:
        self._totals = totals
        self._processes: dict[str, int] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self, accept: str, processes: dict[str, int]) -> tuple[bytes, str]:
        """The exposition and its content type. `processes`: how many of each role have answered of late."""
        self._processes = processes
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type

    def collect(self) -> Iterable[Metric]:
        yield _version()
        answering = GaugeMetricFamily("teapot_processes", "Processes that answer the observer.", labels=["role"])
        for role, number in self._processes.items():
            answering.add_metric([role], number)
        yield answering
        for name, family, series in self._totals.merged():
            yield _metric(name, family, series)


def _version() -> Metric:
    version = GaugeMetricFamily("teapot_build_info", "Always 1; the label tells the observer's version.", labels=["version"])
    version.add_metric([teapot.__version__], 1)
    return version


def _metric(name: str, family: Family, series: dict[Labels, Numbers]) -> Metric:
    labels = list(family.labels)
    if not labels and not series and family.kind != "histogram":
        series = {(): (0.0,)}
    if family.kind == "histogram":
        return _histogram(name, family, series)
    make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = make(name, family.help, labels=labels)
    for values, numbers in sorted(series.items()):
        metric.add_metric(values, numbers[0])
    return metric


def _histogram(name: str, family: Family, series: dict[Labels, Numbers]) -> Metric:
    metric = HistogramMetricFamily(name, family.help, labels=list(family.labels))
    for values, (*buckets, total) in sorted(series.items()):
        so_far, cumulative = 0.0, []
        for bound, number in zip(_BOUNDS, buckets, strict=True):
            so_far += number
            cumulative.append((bound, so_far))
        metric.add_metric(values, cumulative, total)
    return metric
