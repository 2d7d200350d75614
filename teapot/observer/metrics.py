"""Every metric that Teapot offers: its name, its labels and all values that these may have. A closed table.

What counts (a gateway, above all) may have been captured by somebody on the network. So nothing that it reports can make a series
that is not foreseen here: a family of another role is not looked at, a label value that is not in the table is counted as "other".
Only the authority names issuers, in number and length bounded. Label values are in the order in which a family names its labels.
"""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Literal, NamedTuple

from teapot.channel.observer_messages import LATENCY_BUCKETS_S, Scraped
from teapot.channel.problems import PROBLEMS
from teapot.channel.spawner_messages import REASONS

OTHER = "other"
MAX_SERIES = 1000  # of a family: more than the table allows, but for issuers
_MAX_ISSUER_CHARACTERS = 200
_MAX_TOTAL = 1e18  # what no honest process can reach

Labels = tuple[str, ...]
Numbers = tuple[float, ...]  # one of a counter or gauge; of a histogram one per bucket, and the sum
Values = dict[str, dict[Labels, Numbers]]  # family: series


class BadCounts(Exception):
    """These are not counts: the process that reported them is not to be heard any more."""


class Family(NamedTuple):
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: dict[str, frozenset[str] | None]  # None: an issuer

    @property
    def width(self) -> int:
        return len(LATENCY_BUCKETS_S) + 2 if self.kind == "histogram" else 1


_METHODS = frozenset(("OPTIONS", "HEAD", "GET", "PUT", "DELETE", "MKCOL", "MOVE", "COPY", "PROPFIND"))
_STATUSES = frozenset(str(status.value) for status in HTTPStatus)
_STEPS = frozenset(("receive", "identify", "authorise", "reach_worker", "exchange", "reply", "total"))
_CODES = frozenset(PROBLEMS)
_CACHE = frozenset(("hit", "miss"))
_FETCHES = frozenset(("ok", "failed"))
_LOOKUPS = frozenset(("linked", "not_linked", "suspended", "unavailable", "key_refused"))
_STATES = frozenset(("starting", "serving", "leaving", "stuck"))

_GATEWAY = {
    "teapot_requests_total": Family("counter", "Requests answered.", {"method": _METHODS, "status": _STATUSES}),
    "teapot_received_bytes_total": Family("counter", "Bytes of request bodies.", {}),
    "teapot_sent_bytes_total": Family("counter", "Bytes of answers' bodies.", {}),
    "teapot_errors_total": Family("counter", "Requests that failed, by the code of their problem body.", {"code": _CODES}),
    "teapot_identify_cache_total": Family("counter", "Tokens looked up in a gateway's own cache.", {"outcome": _CACHE}),
    "teapot_step_seconds": Family("histogram", "How long the steps of a request took.", {"step": _STEPS}),
    "teapot_open_requests": Family("gauge", "Requests that are being served.", {}),
    "teapot_connections": Family("gauge", "Clients' connections that are open.", {}),
}
_AUTHORITY = {
    "teapot_identify_total": Family("counter", "Tokens that the authority was asked about.", {"outcome": _CODES | {"identified"}}),
    "teapot_authority_cache_total": Family("counter", "Tokens looked up in the authority's cache.", {"outcome": _CACHE}),
    "teapot_issuer_fetches_total": Family("counter", "Fetches of issuers' keys.", {"issuer": None, "outcome": _FETCHES}),
    "teapot_issuer_keys_age_seconds": Family("gauge", "How old the keys of an issuer are.", {"issuer": None}),
    "teapot_alise_lookups_total": Family("counter", "Questions to ALISE, by its answer.", {"outcome": _LOOKUPS}),
    "teapot_alise_cache_total": Family("counter", "Links looked up in the authority's cache.", {"outcome": _CACHE | {"stale"}}),
    "teapot_alise_feed": Family("gauge", "1 while ALISE tells of changes, so that an unlink takes effect at once.", {}),
    "teapot_watched_accounts": Family("gauge", "Accounts with a worker, whose groups are looked up again and again.", {}),
}
_SPAWNER = {
    "teapot_workers": Family("gauge", "Worker processes.", {"state": _STATES}),
    "teapot_workers_started_total": Family("counter", "Workers that were started and proved their cage.", {}),
    "teapot_worker_start_seconds_total": Family("counter", "How long all these starts took together.", {}),
    "teapot_workers_ended_unexpectedly_total": Family("counter", "Workers that ended without being told or idle.", {}),
    "teapot_worker_refusals_total": Family("counter", "Asks for a worker that were refused.", {"reason": frozenset(REASONS)}),
    "teapot_permitted_accounts": Family("gauge", "Standing permissions of gateways to reach accounts.", {}),
}
FAMILIES: dict[str, dict[str, Family]] = {"gateway": _GATEWAY, "authority": _AUTHORITY, "spawner": _SPAWNER}


def admitted(role: str, scraped: Scraped) -> Values:
    """Of what a process of this role reports, what it may report. BadCounts when the forms or numbers make no sense."""
    return {name: _admitted_series(name, family, scraped) for name, family in FAMILIES[role].items()}


def _admitted_series(name: str, family: Family, scraped: Scraped) -> dict[Labels, Numbers]:
    series: dict[Labels, Numbers] = {}
    for labels, numbers in _reported(name, family, scraped):
        if len(labels) != len(family.labels) or len(numbers) != family.width:
            raise BadCounts(f"{name} with {len(labels)} labels and {len(numbers)} numbers")
        if not all(0 <= number <= _MAX_TOTAL for number in numbers):  # false for NaN as well
            raise BadCounts(f"{name}: a number out of range")
        known = _known(family, labels)
        series[known] = added(series[known], numbers) if known in series else numbers
    return series


def _reported(name: str, family: Family, scraped: Scraped) -> Iterator[tuple[Labels, Numbers]]:
    if family.kind == "histogram":
        for labels, buckets, total in scraped.histograms.get(name, ()):
            yield labels, (*buckets, total)
        return
    for labels, number in (scraped.gauges if family.kind == "gauge" else scraped.counters).get(name, ()):
        yield labels, (number,)


def _known(family: Family, labels: Iterable[str]) -> Labels:
    return tuple(value if _is_known(value, values) else OTHER for value, values in zip(labels, family.labels.values(), strict=True))


def _is_known(value: str, values: frozenset[str] | None) -> bool:
    return value in values if values is not None else len(value) <= _MAX_ISSUER_CHARACTERS and value.isprintable()


def added(one: Numbers, other: Numbers) -> Numbers:
    return tuple(a + b for a, b in zip(one, other, strict=True))
