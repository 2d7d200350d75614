"""Peers that break the form are cut off; the others, and the admin port, do not notice."""

import time
from collections.abc import Callable

import pytest

from teapot.channel import packets
from teapot.channel import spawner_messages as spawner
from teapot.channel.observer_messages import Scraped
from tests.observer.conftest import Reply, RunningObserver, gateway, introduce_the_rest, requests

Observe = Callable[..., RunningObserver]

BAD: dict[str, Reply] = {
    "bytes that are no packet": lambda ask: b"\xff" * 40,
    "a header longer than its packet": lambda ask: (1 << 20).to_bytes(4, "little") + b"x",
    "an answer to another question": lambda ask: Scraped(ask + 1, True, {}, {}, {}),
    "a negative total": gateway(teapot_sent_bytes_total=[((), -1.0)]),
    "a total that is no number": gateway(teapot_sent_bytes_total=[((), float("nan"))]),
    "an infinite total": gateway(teapot_sent_bytes_total=[((), float("inf"))]),
    "a label too many": gateway(teapot_sent_bytes_total=[(("x",), 1.0)]),
    "a histogram of another width": lambda ask: Scraped(ask, True, {}, {}, {"teapot_step_seconds": [(("total",), (1,), 1.0)]}),
}


@pytest.mark.parametrize("reply", BAD.values(), ids=BAD.keys())
def test_a_gateway_that_breaks_the_form_is_cut_off(observe: Observe, reply: Reply) -> None:
    observer = observe()
    introduce_the_rest(observer)
    observer.introduce("gateway", requests(1))
    observer.wait_until(lambda: observer.status("/readyz") == 200, "not ready")
    bad = observer.introduce("gateway", reply)
    observer.wait_until(lambda: bool(observer.metrics()) and bad.asked == 1, "it was not asked")
    observer.wait_until(lambda: observer.metrics()['teapot_processes{role="gateway"}'] == 1, "it is still heard")
    assert observer.status("/readyz") == 200
    assert bad.asked == 1


def test_answers_without_questions_are_not_read_for_long(observe: Observe) -> None:
    observer = observe()
    player = observer.introduce("gateway", requests(1))
    observer.wait_until(lambda: player.asked > 0, "it was not asked")
    flood = packets.pack(Scraped(1, True, {}, {}, {}))
    with pytest.raises(OSError):
        while True:
            player.end.send(flood)
    assert observer.get("/healthz").status == 200


def test_a_spawner_that_breaks_the_form_is_cut_off(observe: Observe) -> None:
    observer = observe()
    player = observer.introduce("spawner", lambda ask: spawner.Form(spawner.LISTED, ask, 0.0, "started=many"))
    observer.wait_until(lambda: player.asked == 1, "it was not asked")
    observer.wait_until(lambda: b"the spawner is not running" in observer.get("/readyz").body, "it is still heard")


def test_a_silent_gateway_delays_the_metrics_by_two_seconds_at_most_and_is_asked_once(observe: Observe) -> None:
    observer = observe()
    observer.introduce("gateway", requests(1))
    silent = observer.introduce("gateway", lambda ask: None)
    observer.wait_until(lambda: silent.asked == 1, "it was not asked")
    for _ in range(2):
        began = time.monotonic()
        assert 'teapot_requests_total{method="GET",status="200"}' in observer.metrics()
        assert time.monotonic() - began < 2.5
    assert silent.asked == 1


def test_the_observer_does_not_hear_roles_that_it_does_not_know(observe: Observe) -> None:
    observer = observe()
    stranger = observer.introduce("stranger", lambda ask: None)
    introduce_the_rest(observer)
    observer.introduce("gateway", requests(1))
    observer.wait_until(lambda: observer.status("/readyz") == 200, "not ready")
    assert stranger.asked == 0
