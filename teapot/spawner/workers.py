"""The live workers as the spawner knows them: one state each, one table of legal moves, and the questions asked of them.

Pure bookkeeping: it forks nothing and sends nothing. All times are of CLOCK_MONOTONIC, in seconds.
"""

import enum
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


class State(enum.Enum):
    STARTING = "starting"  # forked; looks its account up and builds its cage
    SERVING = "serving"
    LEAVING = "leaving"  # finishes what is open, takes no new channel
    STUCK = "stuck"  # was killed, and is still there: the kernel waits for a file system


_MOVES: dict[State, frozenset[State]] = {
    State.STARTING: frozenset((State.SERVING, State.LEAVING, State.STUCK)),
    State.SERVING: frozenset((State.LEAVING, State.STUCK)),
    State.LEAVING: frozenset((State.STUCK,)),
    State.STUCK: frozenset(),
}


class IllegalMove(Exception):
    pass


@dataclass(slots=True, eq=False)
class Worker:
    pid: int
    account: str
    control: socket.socket
    started: float
    edition: str  # of the software and settings that it was forked from
    state: State = State.STARTING
    other_names: set[str] = field(default_factory=set)  # spellings of the same account
    uid: int = -1  # as told before it became that account; -1: not yet
    fingerprint: str = ""
    idle_since: float | None = None  # as last told; None: busy
    kill_at: float | None = None  # when it is ended by force if it is still there
    asked_to_leave: bool = False
    has_failed: bool = False  # and has said why
    gateways: set[int] = field(default_factory=set)  # those that were given a channel
    stayed: float = 0.0  # when it last was asked to leave and did not: it has not been idle for longer, whatever it says

    def move(self, to: State) -> None:
        if to not in _MOVES[self.state]:
            raise IllegalMove(f"worker {self.pid}: from {self.state.value} to {to.value}")
        self.state = to

    @property
    def names(self) -> tuple[str, ...]:
        """All that it was asked for by."""
        return (self.account, *self.other_names)

    def serves(self, account: str) -> bool:
        return account == self.account or account in self.other_names


class Workers:
    """All worker processes that have not been reaped."""

    def __init__(self) -> None:
        self._by_pid: dict[int, Worker] = {}

    def add(self, worker: Worker) -> None:
        self._by_pid[worker.pid] = worker

    def get(self, pid: int) -> Worker | None:
        return self._by_pid.get(pid)

    def remove(self, pid: int) -> None:
        self._by_pid.pop(pid, None)

    def __iter__(self) -> Iterator[Worker]:
        return iter(list(self._by_pid.values()))

    def __len__(self) -> int:
        return len(self._by_pid)

    def usable(self, account: str) -> Worker | None:
        """The worker that serves this account, or is about to."""
        hopeful = (worker for worker in self if worker.state in (State.STARTING, State.SERVING) and worker.serves(account))
        return next(hopeful, None)

    def twin(self, newcomer: Worker) -> Worker | None:
        """A worker that already serves the newcomer's uid, or is about to, under another spelling of its name."""
        hopeful = (State.STARTING, State.SERVING)
        twins = (worker for worker in self if worker is not newcomer and worker.state in hopeful and worker.uid == newcomer.uid)
        return next(twins, None)

    def stuck(self, account: str) -> int:
        return sum(worker.state is State.STUCK and worker.serves(account) for worker in self)

    def longest_idle(self) -> Worker | None:
        idle = [
            (worker.idle_since, worker.pid, worker)
            for worker in self
            if worker.state is State.SERVING and worker.idle_since is not None and not worker.asked_to_leave
        ]
        return min(idle)[2] if idle else None

    def by_state(self) -> Counter[State]:
        return Counter(worker.state for worker in self)
