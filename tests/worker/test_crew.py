"""One thread serves while requests are quick; a request that hangs costs its own thread, and nobody else's time."""

import os
import threading
import time
from collections.abc import Callable

import pytest

from teapot.worker import crew
from teapot.worker.crew import Crew
from tests.service.teapot_process import wait_for


class Channel:
    """Each byte in its pipe is a request, carried out by `work`."""

    def __init__(self, work: Callable[[], None] = lambda: None) -> None:
        self.work = work
        self.served_by: list[int] = []
        self._end, self._other = os.pipe()
        os.set_blocking(self._end, False)

    def fileno(self) -> int:
        return self._end

    def ask(self, times: int = 1) -> None:
        os.write(self._other, bytes(times))

    def hang_up(self) -> None:
        os.close(self._other)

    def take(self) -> bool:
        try:
            if not os.read(self._end, 1):
                return False
        except BlockingIOError:
            return True
        self.work()
        self.served_by.append(threading.get_ident())
        return True

    def served(self, number: int, within_s: float = 2.0) -> None:
        wait_for(lambda: len(self.served_by) >= number, within_s, lambda: f"{len(self.served_by)} of {number} served")


def test_quick_requests_of_all_channels_are_served_by_one_thread() -> None:
    team, channels = Crew(), [Channel() for _ in range(4)]
    for channel in channels:
        team.serve(channel)
    for channel in channels:
        channel.ask(200)
    for channel in channels:
        channel.served(200)
    assert len({thread for channel in channels for thread in channel.served_by}) == 1


def test_a_request_that_hangs_delays_the_next_one_for_a_moment_only() -> None:
    release = threading.Event()
    team, hanging, quick = Crew(), Channel(lambda: release.wait() and None), Channel()
    team.serve(hanging)
    team.serve(quick)
    hanging.ask()
    time.sleep(0.05)
    began = time.monotonic()
    quick.ask()
    quick.served(1)
    assert time.monotonic() - began < 0.1
    release.set()
    hanging.served(1)


def test_while_storage_is_slow_requests_run_side_by_side() -> None:
    team, slow = Crew(), Channel(lambda: time.sleep(0.1))
    team.serve(slow)
    began = time.monotonic()
    slow.ask(40)
    slow.served(40, within_s=5)
    assert time.monotonic() - began < 1.0, "one after the other they take 4 s"


def test_as_many_hanging_requests_as_threads_stop_it_and_one_that_ends_lets_it_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_MAX_THREADS", 4)
    turns = threading.Semaphore(0)
    team, hanging, quick = Crew(), Channel(lambda: turns.acquire() and None), Channel()
    team.serve(hanging)
    team.serve(quick)
    hanging.ask(4)
    time.sleep(0.2)
    quick.ask()
    time.sleep(0.2)
    assert not quick.served_by
    turns.release()
    quick.served(1)
    turns.release(3)
    hanging.served(4)


def test_threads_that_are_not_needed_any_more_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_SPARE_S", 0.1)
    team, slow = Crew(), Channel(lambda: time.sleep(0.05))
    before = threading.active_count()
    team.serve(slow)
    slow.ask(40)
    slow.served(40)
    wait_for(lambda: threading.active_count() <= before + 2, 5, lambda: f"{threading.active_count() - before} threads")
    slow.ask()
    slow.served(41)


def test_a_channel_that_ends_is_not_asked_any_more() -> None:
    team, ending, other = Crew(), Channel(), Channel()
    team.serve(ending)
    team.serve(other)
    ending.hang_up()
    other.ask(3)
    other.served(3)
    cpu = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - cpu < 0.15, "it turns in circles"


def test_an_idle_crew_costs_nothing() -> None:
    team, channel = Crew(), Channel()
    team.serve(channel)
    channel.ask(10)
    channel.served(10)
    time.sleep(0.3)  # until nobody watches any more
    cpu = time.process_time()
    time.sleep(1.0)
    assert time.process_time() - cpu < 0.02
