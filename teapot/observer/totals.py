"""Adds up what all processes have counted, so that a counter never goes back while the observer runs.

A process reports running totals since it started. What it has counted since it was asked last is added; when it is gone, what was
added stays, and what it counted after its last answer (at most one round of asking) is lost. Gauges are those of live processes.
"""

from collections.abc import Iterator
from typing import NamedTuple

from teapot.observer.metrics import FAMILIES, MAX_SERIES, OTHER, Family, Labels, Numbers, Values, added


class Source(NamedTuple):
    role: str
    number: int


class Totals:
    def __init__(self) -> None:
        self._totals: Values = {}
        self._last: dict[Source, Values] = {}

    def add(self, source: Source, values: Values) -> None:
        before = self._last.get(source, {})
        for name, series in values.items():
            if FAMILIES[source.role][name].kind != "gauge":
                self._add_series(name, series, before.get(name, {}))
        self._last[source] = values

    def forget(self, source: Source) -> None:
        """The process is gone; its totals stay."""
        self._last.pop(source, None)

    def merged(self) -> Iterator[tuple[str, Family, dict[Labels, Numbers]]]:
        for role, families in FAMILIES.items():
            for name, family in families.items():
                yield name, family, self._gauge(role, name) if family.kind == "gauge" else self._totals.get(name, {})

    def _add_series(self, name: str, series: dict[Labels, Numbers], before: dict[Labels, Numbers]) -> None:
        totals = self._totals.setdefault(name, {})
        for labels, numbers in series.items():
            new = _since(before.get(labels), numbers)
            if labels not in totals and len(totals) >= MAX_SERIES:
                labels = (OTHER,) * len(labels)
            totals[labels] = added(totals[labels], new) if labels in totals else new

    def _gauge(self, role: str, name: str) -> dict[Labels, Numbers]:
        sums: dict[Labels, Numbers] = {}
        for source, values in self._last.items():
            for labels, numbers in values.get(name, {}).items() if source.role == role else ():
                sums[labels] = added(sums[labels], numbers) if labels in sums else numbers
        return sums


def _since(before: Numbers | None, now: Numbers) -> Numbers:
    """A total that is smaller than before began anew: then all of it is new."""
    if before is None or any(new < old for old, new in zip(before, now, strict=True)):
        return now
    return tuple(new - old for old, new in zip(before, now, strict=True))
