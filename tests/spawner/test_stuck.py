"""What is decided about accounts whose workers hang in the kernel, or lie. The processes are not real here: none does that on demand."""

import socket
import time
from collections.abc import Iterator

import pytest

from teapot.channel import control_messages as control
from teapot.channel import packets
from teapot.channel import spawner_messages as messages
from teapot.channel.spawner_messages import Form
from teapot.spawner.account_phase import Rounds
from teapot.spawner.desk import ROOM_S, Desk
from teapot.spawner.hall import Hall
from teapot.spawner.peers import Peer
from teapot.spawner.workers import State, Worker
from tests.spawner.process import Gateway

ENDS: list[socket.socket] = []


def _worker(pid: int, account: str, state: State) -> Worker:
    control, other = packets.pair()
    ENDS.extend((control, other))
    return Worker(pid, account, control, time.monotonic(), "edition", state, uid=1000 + pid)


@pytest.fixture
def born() -> list[str]:
    return []


@pytest.fixture
def desk(born: list[str]) -> Iterator[Desk]:
    def give_birth(account: str) -> Worker:
        born.append(account)
        return _worker(100 + len(born), account, State.STARTING)

    yield Desk(3, 10.0, give_birth, lambda: None)
    while ENDS:
        ENDS.pop().close()


def _ask(desk: Desk, account: str) -> Gateway:
    ours, theirs = packets.pair()
    ENDS.extend((ours, theirs))
    peer, gateway = Peer("gateway", 1, theirs), Gateway(1, ours)
    desk.welcome(peer)
    desk.rows.allow(1, account, time.monotonic() + 60, authority=1)
    messages.send(ours, Form(messages.REACH, 1, 0.0, account))
    desk.hear(peer)
    desk.serve_waiting(time.monotonic())
    return gateway


def test_a_stuck_worker_is_replaced(desk: Desk, born: list[str]) -> None:
    desk.workers.add(_worker(1, "alice", State.STUCK))
    _ask(desk, "alice")
    assert born == ["alice"]


def test_there_is_one_replacement_at_most(desk: Desk, born: list[str]) -> None:
    for pid in (1, 2):
        desk.workers.add(_worker(pid, "alice", State.STUCK))
    refused = _ask(desk, "alice").hear()
    assert (refused.reason, refused.form.until, born) == ("account_stuck", 30.0, [])


def test_stuck_workers_count_in_the_maximum(desk: Desk, born: list[str]) -> None:
    for pid, account in enumerate(("alice", "bob", "carol"), 1):
        desk.workers.add(_worker(pid, account, State.STUCK))
    gateway = _ask(desk, "dave")
    time.sleep(ROOM_S)  # for somebody to become idle
    desk.serve_waiting(time.monotonic())
    assert gateway.hear().reason == "too_many_workers"
    assert born == []


def test_a_stuck_worker_of_one_account_does_not_concern_another(desk: Desk, born: list[str]) -> None:
    for pid in (1, 2):
        desk.workers.add(_worker(pid, "alice", State.STUCK))
    _ask(desk, "bob")
    assert born == ["bob"]


@pytest.mark.parametrize("lie", [0.0, float("nan"), float("-inf")])
def test_one_that_always_says_that_it_is_the_longest_idle_and_never_leaves_does_not_keep_the_others_from_making_room(
    desk: Desk, lie: float
) -> None:
    workers, ends, hall = [], [], Hall(desk, Rounds("", 30.0, desk.refuse_further))
    for pid, account in enumerate(("mallory", "alice", "bob"), 1):
        workers.append(_worker(pid, account, State.SERVING))
        ends.append(ENDS[-1])
        desk.workers.add(workers[-1])
        control.send(ends[-1], control.Control(control.IDLE_SINCE, 0, time.monotonic()))
        workers[-1].control.setblocking(False)
        hall.hear(workers[-1])
    control.send(ends[0], control.Control(control.IDLE_SINCE, 0, lie))
    hall.hear(workers[0])
    _ask(desk, "dave")
    for _ in range(4):
        if workers[0].asked_to_leave:
            for _ in range(2):
                control.send(ends[0], control.Control(control.IDLE_SINCE, 0, lie))
            hall.hear(workers[0])
        desk.serve_waiting(time.monotonic())
    assert workers[1].asked_to_leave
