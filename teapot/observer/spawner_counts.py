"""The spawner's counts, which come as "name=value" separated by blanks (it speaks in fixed forms only), as those of any other process."""

from collections.abc import Iterator

from teapot.channel.observer_messages import Scraped
from teapot.channel.spawner_messages import BadForm, Form

_COUNTERS = {
    "started": "teapot_workers_started_total",
    "start_seconds": "teapot_worker_start_seconds_total",
    "ended_unexpectedly": "teapot_workers_ended_unexpectedly_total",
}
_GAUGES = {"rows": "teapot_permitted_accounts"}
_COUNTERS_BY = {"refused_": "teapot_worker_refusals_total"}
_GAUGES_BY = {"workers_": "teapot_workers"}

Reported = dict[str, list[tuple[tuple[str, ...], float]]]


def scraped(listed: Form) -> Scraped:
    """A name that is not known here is left out. BadForm when it is not of the form."""
    counts = dict(_counts(listed.name))
    return Scraped(
        listed.number, True, _named(counts, _COUNTERS) | _by(counts, _COUNTERS_BY), _named(counts, _GAUGES) | _by(counts, _GAUGES_BY), {}
    )


def _counts(text: str) -> Iterator[tuple[str, float]]:
    for word in text.split():
        name, _, value = word.partition("=")
        try:
            yield name, float(value)
        except ValueError as wrong:
            raise BadForm(f"{word!r} is no count") from wrong


def _named(counts: dict[str, float], names: dict[str, str]) -> Reported:
    return {metric: [((), counts[name])] for name, metric in names.items() if name in counts}


def _by(counts: dict[str, float], prefixes: dict[str, str]) -> Reported:
    return {
        metric: [((name.removeprefix(prefix),), number) for name, number in counts.items() if name.startswith(prefix)]
        for prefix, metric in prefixes.items()
    }
