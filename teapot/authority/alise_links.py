"""The mapping method `alise`: asks ALISE who (issuer, subject) is here, and remembers it within bounds.

One question at a time for an identity, whoever asks how often. A link counts for a while without asking again: long while
ALISE tells of changes (alise_feed.py), short otherwise. When ALISE does not answer, who was linked a short time ago goes
on, and for everybody else nobody knows (mapping_unavailable): "down" is never "not linked".
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from teapot.accounts import is_account_name
from teapot.authority.alise_answers import AliseUnavailable, KeyRefused, Linked, NotLinked, Outcome, Subject, Suspended, Unintelligible
from teapot.authority.breaker import Breaker
from teapot.authority.ending import end
from teapot.authority.refusal import Refusal
from teapot.configuration import MappingAlise

log = logging.getLogger(__name__)

MAX_REMEMBERED = 50_000
STALE_ANSWER_S = 5.0  # a link that could not be asked for is asked for again so soon
EVICTED_S = 120.0  # how long a gateway may still know what is remembered here no more


class Source(Protocol):
    """AliseUnavailable when nobody knows."""

    async def resolve(self, subject: Subject) -> Outcome: ...


class Mapped(NamedTuple):
    account: str
    until: float  # monotonic: it may be relied upon so long without asking again


class _Known(NamedTuple):
    outcome: Outcome
    asked: float  # monotonic: the answer is not older


class Coverage:
    """Since when, and whether still, every change is told by ALISE."""

    def __init__(self, silence_s: float) -> None:
        """silence_s: having heard nothing for so long means that nothing is told any more."""
        self._silence_s = silence_s
        self._since, self.heard_at = float("inf"), float("-inf")

    def begins(self, now: float) -> None:
        self._since = self.heard_at = now

    def goes_on(self, now: float) -> None:
        self.heard_at = now

    def ends(self) -> None:
        self._since, self.heard_at = float("inf"), float("-inf")

    def of(self, asked: float, now: float) -> bool:
        return asked >= self._since and now - self.heard_at <= self._silence_s


class AliseLinks:
    """lost: is told of accounts that an identity is not linked to any more, as soon as that is known."""

    def __init__(self, source: Source, settings: MappingAlise, coverage: Coverage, lost: Callable[[frozenset[str]], None]) -> None:
        self._source, self._settings, self._coverage, self._lost = source, settings, coverage, lost
        self._known: dict[Subject, _Known] = {}
        self._asking: dict[Subject, asyncio.Task[Outcome]] = {}
        self._tasks: set[asyncio.Task[Outcome]] = set()  # also those whose answer counts for nothing any more
        self._breaker = Breaker()
        self._evicted_at = float("-inf")
        self.lookups: Counter[str] = Counter()  # by outcome: linked, not_linked, suspended, unavailable, key_refused
        self.cache: Counter[str] = Counter()  # hit, miss, stale

    @property
    def is_told_of_changes(self) -> bool:
        now = time.monotonic()
        return self._coverage.of(now, now)

    async def find(self, subject: Subject) -> Mapped | NotLinked:
        """Refusal mapping_unavailable, link_suspended or account_not_served."""
        now, known = time.monotonic(), self._known.get(subject)
        if known and now < self._fresh_until(known, now):
            self.cache["hit"] += 1
            return self._given(known.outcome, self._fresh_until(known, now))
        if subject not in self._asking and not self._breaker.admits(now):
            return self._stale(subject, "it has not answered for a while")
        self.cache["miss"] += 1
        try:
            outcome = await self._asked(subject)
        except AliseUnavailable as unavailable:
            return self._stale(subject, str(unavailable))
        return self._given(outcome, self._fresh_until(_Known(outcome, now), now))

    def named(self, accounts: frozenset[str]) -> frozenset[str]:
        """Those of them that somebody is known to be linked to."""
        now = time.monotonic()
        usable = (known.outcome for known in self._known.values() if now < self._usable_until(known))
        return accounts & {outcome.account for outcome in usable if isinstance(outcome, Linked)}

    def forget(self, subjects: Iterable[Subject]) -> dict[Subject, str] | None:
        """What is known of these is void, and so is what is being asked: the accounts that they had. None: nothing was
        known of any of them, nor can a gateway know anything.
        """
        touched, accounts = time.monotonic() - self._evicted_at <= EVICTED_S, {}
        for subject in subjects:
            known = self._known.pop(subject, None)
            touched = bool(self._asking.pop(subject, None) or known) or touched
            if known and isinstance(known.outcome, Linked):
                accounts[subject] = known.outcome.account
        return accounts if touched else None

    def forget_everybody(self) -> dict[Subject, str]:
        return self.forget({*self._known, *self._asking}) or {}

    def learn(self, outcomes: Mapping[Subject, Outcome], asked: float) -> None:
        """What ALISE was asked, at `asked` (monotonic), after it told of a change: who is still linked stays known."""
        for subject, outcome in outcomes.items():
            if subject not in self._known and subject not in self._asking:
                self._remember(subject, outcome, asked)

    async def close(self) -> None:
        await end(self._tasks)

    # --- what is remembered

    def _fresh_until(self, known: _Known, now: float) -> float:
        return known.asked + self._ttl_s(known, self._coverage.of(known.asked, now))

    def _usable_until(self, known: _Known) -> float:
        return known.asked + self._ttl_s(known, False) + self._settings.stale_if_down_s

    def _ttl_s(self, known: _Known, covered: bool) -> float:
        if not isinstance(known.outcome, Linked):
            return self._settings.no_link_ttl_s
        return self._settings.link_ttl_s if covered else self._settings.link_ttl_without_feed_s

    def _stale(self, subject: Subject, why: str) -> Mapped:
        known, now = self._known.get(subject), time.monotonic()
        if known and isinstance(known.outcome, Linked) and now < self._usable_until(known):
            self.cache["stale"] += 1
            until = min(self._usable_until(known), now + STALE_ANSWER_S)
            return Mapped(known.outcome.account, until)
        raise Refusal("mapping_unavailable", f"ALISE: {why}")

    def _given(self, outcome: Outcome, until: float) -> Mapped | NotLinked:
        if isinstance(outcome, NotLinked):
            return outcome
        if isinstance(outcome, Suspended):
            raise Refusal("link_suspended", "ALISE says so")
        if not is_account_name(outcome.account):
            raise Refusal("account_not_served", f"ALISE names {outcome.account[:80]!r}, which cannot be an account")
        return Mapped(outcome.account, until)

    def _remember(self, subject: Subject, outcome: Outcome, asked: float) -> None:
        before = self._known.pop(subject, None)
        while len(self._known) >= MAX_REMEMBERED:
            del self._known[next(iter(self._known))]
            self._evicted_at = time.monotonic()
        self._known[subject] = _Known(outcome, asked)
        if before and isinstance(before.outcome, Linked) and before.outcome != outcome:
            self._lost(frozenset((before.outcome.account,)))

    # --- asking

    async def _asked(self, subject: Subject) -> Outcome:
        task = self._asking.get(subject)
        if task is None:
            asked = time.monotonic()
            task = self._asking[subject] = asyncio.create_task(self._ask(subject))
            self._tasks.add(task)
            task.add_done_callback(lambda done: self._answered(subject, asked, done))
        done, _ = await asyncio.wait({task}, timeout=self._settings.timeout_s)
        if not done or task.cancelled():
            raise AliseUnavailable(f"no answer within {self._settings.timeout_s:g} s")
        return task.result()

    async def _ask(self, subject: Subject) -> Outcome:
        try:
            outcome = await self._source.resolve(subject)
        except AliseUnavailable as unavailable:
            self._failed(unavailable)
            raise
        self._breaker.succeeded()
        self.lookups[_LABELS[type(outcome)]] += 1
        return outcome

    def _failed(self, unavailable: AliseUnavailable) -> None:
        """Somebody whose identity ALISE stumbles over keeps nobody else from being asked for."""
        if isinstance(unavailable, Unintelligible):
            self._breaker.succeeded()
        else:
            self._breaker.failed(time.monotonic())
        self.lookups["key_refused" if isinstance(unavailable, KeyRefused) else "unavailable"] += 1
        log.error("ALISE: %s", unavailable)

    def _answered(self, subject: Subject, asked: float, done: asyncio.Task[Outcome]) -> None:
        self._tasks.discard(done)
        counts = self._asking.get(subject) is done
        if counts:
            del self._asking[subject]
        if not done.cancelled() and not done.exception() and counts:
            self._remember(subject, done.result(), asked)


_LABELS = {Linked: "linked", NotLinked: "not_linked", Suspended: "suspended"}
