"""/metrics: one exposition for the whole service, whatever its processes do."""

from collections.abc import Callable
from http import HTTPStatus

from prometheus_client.parser import text_string_to_metric_families

from teapot.channel.observer_messages import LATENCY_BUCKETS_S, Scraped
from tests.observer.conftest import RunningObserver, authority, gateway, requests, spawner_with

Observe = Callable[..., RunningObserver]

GETS = 'teapot_requests_total{method="GET",status="200"}'


def test_totals_of_all_gateways_are_added(observe: Observe) -> None:
    observer = observe(gateways=2)
    observer.introduce("gateway", requests(3))
    observer.introduce("gateway", requests(4))
    observer.wait_until(lambda: observer.metrics().get(GETS) == 7, "not added")


def test_what_a_gateway_counted_stays_when_it_is_gone(observe: Observe) -> None:
    observer = observe()
    leaving = observer.introduce("gateway", requests(30))
    observer.wait_until(lambda: observer.metrics().get(GETS) == 30, "not counted")
    leaving.leave()
    observer._players.remove(leaving)
    observer.introduce("gateway", requests(2))
    observer.wait_until(lambda: observer.metrics().get(GETS) == 32, "its totals are gone")


def test_a_process_that_counts_anew_takes_nothing_back(observe: Observe) -> None:
    observer = observe()
    player = observer.introduce("gateway", requests(10))
    observer.wait_until(lambda: observer.metrics().get(GETS) == 10, "not counted")
    player.reply = requests(1)
    observer.wait_until(lambda: observer.metrics().get(GETS) == 11, "a counter went back or stood still")


def test_gauges_are_those_of_live_gateways(observe: Observe) -> None:
    def busy(ask: int) -> Scraped:
        return Scraped(ask, True, {}, {"teapot_open_requests": [((), 5.0)]}, {})

    observer = observe()
    leaving = observer.introduce("gateway", busy)
    observer.introduce("gateway", busy)
    observer.wait_until(lambda: observer.metrics()["teapot_open_requests"] == 10, "not added")
    leaving.leave()
    observer._players.remove(leaving)
    observer.wait_until(lambda: observer.metrics()["teapot_open_requests"] == 5, "the dead still count")


def test_latencies_are_cumulative_buckets_with_count_and_sum(observe: Observe) -> None:
    buckets = [0] * (len(LATENCY_BUCKETS_S) + 1)
    buckets[1], buckets[-1] = 2, 1

    def slow(ask: int) -> Scraped:
        return Scraped(ask, True, {}, {}, {"teapot_step_seconds": [(("identify",), tuple(buckets), 61.5)]})

    observer = observe()
    observer.introduce("gateway", slow)
    observer.wait_until(lambda: 'teapot_step_seconds_count{step="identify"}' in observer.metrics(), "not counted")
    seen = observer.metrics()
    assert seen['teapot_step_seconds_bucket{le="0.0005",step="identify"}'] == 0
    assert seen['teapot_step_seconds_bucket{le="0.001",step="identify"}'] == 2
    assert seen['teapot_step_seconds_bucket{le="60.0",step="identify"}'] == 2
    assert seen['teapot_step_seconds_bucket{le="+Inf",step="identify"}'] == 3
    assert seen['teapot_step_seconds_sum{step="identify"}'] == 61.5


def test_workers_and_identities_are_told(observe: Observe) -> None:
    counts = "started=4 start_seconds=0.02 ended_unexpectedly=1 rows=6 workers_serving=2 workers_stuck=1 refused_not_allowed=9 new=1"
    observer = observe()
    observer.introduce("spawner", spawner_with(counts))
    observer.introduce("authority", authority())
    observer.wait_until(lambda: 'teapot_identify_total{outcome="identified"}' in observer.metrics(), "not counted")
    seen = observer.metrics()
    assert seen['teapot_workers{state="serving"}'] == 2
    assert seen['teapot_workers{state="stuck"}'] == 1
    assert seen["teapot_workers_started_total"] == 4
    assert seen["teapot_worker_start_seconds_total"] == 0.02
    assert seen["teapot_workers_ended_unexpectedly_total"] == 1
    assert seen['teapot_worker_refusals_total{reason="not_allowed"}'] == 9
    assert seen["teapot_permitted_accounts"] == 6


def test_the_exposition_is_what_prometheus_reads(observe: Observe) -> None:
    observer = observe()
    observer.introduce("gateway", requests(1))
    observer.wait_until(lambda: GETS in observer.metrics(), "not counted")
    answer = observer.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    assert families["teapot_requests"].type == "counter"
    assert families["teapot_connections"].type == "gauge"
    assert all(family.documentation for family in families.values())


def test_a_gateway_cannot_make_series_of_its_own(observe: Observe) -> None:
    turn = iter(range(1_000_000))

    def hostile(ask: int) -> Scraped:
        made_up = [((f"M{next(turn)}", str(next(turn))), 1.0) for _ in range(500)]
        return Scraped(ask, True, {"teapot_requests_total": made_up, "teapot_mine": [((), 1.0)]}, {}, {})

    observer = observe()
    observer.introduce("gateway", hostile)
    observer.wait_until(lambda: observer.metrics().get('teapot_requests_total{method="other",status="other"}', 0) >= 500, "lost")
    seen = observer.metrics()
    of_requests = [name for name in seen if name.startswith("teapot_requests_total")]
    assert all(name.startswith('teapot_requests_total{method="other",') for name in of_requests)
    assert len(of_requests) <= 1 + len(HTTPStatus)
    assert not [name for name in seen if "mine" in name]


def test_a_gateway_cannot_count_for_the_authority(observe: Observe) -> None:
    observer = observe()
    observer.introduce("gateway", gateway(teapot_identify_total=[(("identified",), 5.0)]))
    observer.wait_until(lambda: observer.metrics()['teapot_processes{role="gateway"}'] == 1, "not asked")
    assert not [name for name in observer.metrics() if name.startswith("teapot_identify_total")]


def test_issuers_are_named_but_not_without_end(observe: Observe) -> None:
    turn = iter(range(1_000_000))

    def lively(ask: int) -> Scraped:
        series = [((f"https://issuer-{next(turn)}.example", "ok"), 1.0) for _ in range(500)]
        return Scraped(ask, True, {"teapot_issuer_fetches_total": series}, {}, {})

    def fetches() -> list[str]:
        return [name for name in observer.metrics() if name.startswith("teapot_issuer_fetches_total")]

    observer = observe()
    observer.introduce("authority", lively)
    observer.wait_until(lambda: 'teapot_issuer_fetches_total{issuer="https://issuer-0.example",outcome="ok"}' in fetches(), "lost")
    observer.wait_until(lambda: 'teapot_issuer_fetches_total{issuer="other",outcome="other"}' in fetches(), "unbounded")
    assert len(fetches()) == 1001
