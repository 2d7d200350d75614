"""What is remembered of links and for how long, when nobody is asked, and what an answer must look like: the parts by themselves."""

import asyncio
import gc
from collections.abc import Iterator
from random import Random

import pytest

from teapot.authority import alise_answers, alise_links
from teapot.authority.alise_answers import (
    AliseUnavailable,
    Changes,
    KeyRefused,
    Linked,
    NoSuchPath,
    NotLinked,
    Outcome,
    Reply,
    Subject,
    Suspended,
    TooLong,
    Unintelligible,
)
from teapot.authority.alise_feed import AliseFeed
from teapot.authority.alise_http import ApiKey, Way
from teapot.authority.alise_links import AliseLinks, Coverage, Mapped
from teapot.authority.breaker import FAILURES, Breaker
from teapot.authority.refusal import Refusal
from teapot.configuration import MappingAlise

ISS = "https://iss.example.org"
ALICE, BOB = Subject(ISS, "alice"), Subject(ISS, "bob")
SETTINGS = MappingAlise(url="https://alise.example.org", site="hpc", api_key_file="/k", timeout_s=0.5)


class Source:
    """Answers from a table, when it is let."""

    def __init__(self) -> None:
        self.outcomes: dict[Subject, Outcome | AliseUnavailable] = {}
        self.asked: list[Subject] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def resolve(self, subject: Subject) -> Outcome:
        self.asked.append(subject)
        await self.may_answer.wait()
        outcome = self.outcomes.get(subject, NotLinked())
        if isinstance(outcome, AliseUnavailable):
            raise outcome
        return outcome


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def lost() -> list[frozenset[str]]:
    return []


@pytest.fixture
def links(source: Source, lost: list[frozenset[str]]) -> AliseLinks:
    return AliseLinks(source, SETTINGS, Coverage(10.0), lost.append)


@pytest.fixture(autouse=True)
def nothing_unretrieved(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A task whose failure nobody has looked at is reported when it is collected."""
    yield
    gc.collect()
    assert "never retrieved" not in caplog.text


async def account(links: AliseLinks, subject: Subject) -> str:
    found = await links.find(subject)
    assert isinstance(found, Mapped)
    return found.account


# --- what is remembered


async def test_who_stops_waiting_does_not_disturb_the_others(links: AliseLinks, source: Source) -> None:
    source.outcomes[ALICE] = Linked("alice")
    source.may_answer.clear()
    first, second = asyncio.create_task(links.find(ALICE)), asyncio.create_task(account(links, ALICE))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0.01)
    source.may_answer.set()
    assert await second == "alice"
    assert source.asked == [ALICE]


async def test_nobody_waits_longer_than_configured_and_what_comes_later_is_remembered(links: AliseLinks, source: Source) -> None:
    source.outcomes[ALICE] = Linked("alice")
    source.may_answer.clear()
    with pytest.raises(Refusal, match="mapping_unavailable"):
        await links.find(ALICE)
    source.may_answer.set()
    await asyncio.sleep(0.01)
    assert await account(links, ALICE) == "alice"
    assert source.asked == [ALICE]


async def test_what_is_being_asked_when_something_changes_is_not_remembered(links: AliseLinks, source: Source) -> None:
    source.outcomes[ALICE] = Linked("old")
    source.may_answer.clear()
    asking = asyncio.create_task(links.find(ALICE))
    await asyncio.sleep(0.01)
    assert links.forget([ALICE]) == {}, "a gateway may be about to be told"
    source.may_answer.set()
    await asking
    source.outcomes[ALICE] = Linked("new")
    assert await account(links, ALICE) == "new"


async def test_the_number_of_remembered_links_is_bounded(
    links: AliseLinks, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alise_links, "MAX_REMEMBERED", 10)
    for number in range(30):
        source.outcomes[Subject(ISS, str(number))] = Linked("alice")
        await links.find(Subject(ISS, str(number)))
    assert len(links.forget_everybody()) == 10


async def test_news_of_somebody_who_was_forgotten_for_want_of_room_still_count(
    links: AliseLinks, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert links.forget([ALICE]) is None
    monkeypatch.setattr(alise_links, "MAX_REMEMBERED", 1)
    await links.find(ALICE), await links.find(BOB)
    assert links.forget([ALICE]) == {}


async def test_another_account_than_before_is_told_as_a_loss(
    links: AliseLinks, source: Source, lost: list[frozenset[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "_settings", MappingAlise(url="", site="hpc", api_key_file="", link_ttl_without_feed_s=0.001))
    source.outcomes[ALICE] = Linked("old")
    await links.find(ALICE)
    await asyncio.sleep(0.01)
    source.outcomes[ALICE] = Linked("new")
    await links.find(ALICE)
    assert lost == [frozenset({"old"})]


async def test_an_account_is_named_by_who_has_it_now(links: AliseLinks, source: Source) -> None:
    source.outcomes[ALICE] = Linked("shared")
    await links.find(ALICE)
    both = frozenset({"shared", "other"})
    assert links.named(both) == {"shared"}
    links.forget([ALICE])
    assert links.named(both) == frozenset()


def test_a_link_is_covered_only_if_it_was_asked_for_after_the_feed_began_and_the_feed_is_heard() -> None:
    coverage = Coverage(10.0)
    assert not coverage.of(0.0, 0.0)
    coverage.begins(100.0)
    assert not coverage.of(99.9, 101.0) and coverage.of(100.0, 109.0) and not coverage.of(100.0, 111.0)
    coverage.goes_on(111.0)
    assert coverage.of(100.0, 120.0)
    coverage.ends()
    assert not coverage.of(112.0, 112.0)


# --- when nobody is asked


def test_after_some_failures_in_a_row_one_question_at_a_time_is_let_through() -> None:
    breaker = Breaker()
    for _ in range(FAILURES):
        assert breaker.admits(0.0)
        breaker.failed(0.0)
    assert not breaker.admits(0.5)
    assert breaker.admits(1.1) and not breaker.admits(1.2)
    breaker.succeeded()
    assert breaker.admits(1.2)


def test_the_pause_grows_but_not_for_ever() -> None:
    breaker, now, pauses = Breaker(), 0.0, []
    for _ in range(100):
        breaker.failed(now)
        begun = now
        while not breaker.admits(now):
            now += 0.5
        pauses.append(now - begun)
    assert pauses == sorted(pauses) and pauses[-1] == 15.0


def test_a_success_between_failures_counts() -> None:
    breaker = Breaker()
    for _ in range(10):
        breaker.failed(0.0)
        breaker.failed(0.0)
        breaker.succeeded()
    assert breaker.admits(0.0)


# --- the feed


class Teller:
    """Tells what a test has prepared, and then nothing any more."""

    def __init__(self, *told: Changes | AliseUnavailable) -> None:
        self._told = list(told)
        self.since: list[int | None] = []

    async def changes(self, since: int | None) -> Changes:
        self.since.append(since)
        if not self._told:
            await asyncio.sleep(60)
        told = self._told.pop(0)
        if isinstance(told, AliseUnavailable):
            raise told
        return told

    async def resolve_many(self, subjects: object) -> list[Outcome]:
        raise AliseUnavailable("not now")


async def heard(teller: Teller, links: AliseLinks, lost: list[frozenset[str]], within_s: float = 0.3) -> None:
    feed = AliseFeed(teller, links, Coverage(10.0), lost.append)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(within_s):
            await feed.follow()


async def test_the_feed_begins_where_alise_is_and_goes_on_where_it_was(links: AliseLinks, lost: list[frozenset[str]]) -> None:
    teller = Teller(Changes((), 7, False), Changes((ALICE,), 8, False), AliseUnavailable("gone"), Changes((BOB,), 9, False))
    await heard(teller, links, lost, 0.6)
    assert teller.since == [None, 7, 8, 8, 9]


async def test_a_number_that_goes_back_is_a_reset_even_if_it_is_not_said(
    links: AliseLinks, source: Source, lost: list[frozenset[str]]
) -> None:
    source.outcomes[ALICE] = Linked("alice")
    await links.find(ALICE)
    await heard(Teller(Changes((), 7, False), Changes((), 3, False)), links, lost)
    assert not links.named(frozenset({"alice"}))
    assert lost == [frozenset()], "it cannot be asked for whether the account is lost: what runs goes on until its deadline"


async def test_a_feed_that_answers_too_early_makes_no_busy_loop(links: AliseLinks, lost: list[frozenset[str]]) -> None:
    teller = Teller(*[Changes((), 7, False)] * 1000)
    await heard(teller, links, lost, 0.4)
    assert len(teller.since) <= 3


async def test_more_changes_than_can_be_told_are_a_reset(links: AliseLinks, source: Source, lost: list[frozenset[str]]) -> None:
    source.outcomes[ALICE] = Linked("alice")
    await links.find(ALICE)
    teller = Teller(Changes((), 7, False), TooLong("1 MiB"), Changes((), 90_000, False))
    await heard(teller, links, lost)
    assert teller.since == [None, 7, None, 90_000]
    assert not links.named(frozenset({"alice"}))


async def test_a_key_that_is_refused_is_not_tried_again_at_once(links: AliseLinks, lost: list[frozenset[str]]) -> None:
    teller = Teller(KeyRefused("no"), KeyRefused("no"))
    await heard(teller, links, lost, 0.8)
    assert teller.since == [None]


async def test_the_issuer_of_a_change_may_have_a_slash_less_or_more(
    links: AliseLinks, source: Source, lost: list[frozenset[str]]
) -> None:
    source.outcomes[ALICE] = Linked("alice")
    await links.find(ALICE)
    await heard(Teller(Changes((), 7, False), Changes((Subject(f"{ISS}/", "alice"),), 8, False)), links, lost)
    assert lost == [frozenset(), frozenset({"alice"})]


# --- what an answer must look like


def test_an_outcome_is_what_has_its_form_exactly() -> None:
    page = "https://alise.example.org/hpc"
    assert alise_answers.resolved(Reply(200, {"username": "alice", "more": 1})) == Linked("alice")
    assert alise_answers.resolved(Reply(404, {"code": "not_linked", "link_url": page})) == NotLinked(page)
    assert alise_answers.resolved(Reply(403, {"code": "suspended"})) == Suspended()


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(200, {}), Unintelligible),
        (Reply(200, {"username": ""}), Unintelligible),
        (Reply(200, {"username": ["alice"]}), Unintelligible),
        (Reply(200, ["alice"]), Unintelligible),
        (Reply(200, None), Unintelligible),
        (Reply(404, None), NoSuchPath),
        (Reply(404, {"detail": "Not Found"}), NoSuchPath),
        (Reply(404, {"code": "unknown_site"}), Unintelligible),
        (Reply(401, {"code": "invalid_key"}), KeyRefused),
        (Reply(403, {"code": "scope"}), KeyRefused),
        (Reply(500, {"code": "internal"}), Unintelligible),
        (Reply(503, None), AliseUnavailable),
        (Reply(307, None), AliseUnavailable),
    ],
)
def test_everything_else_is_unavailable(reply: Reply, kind: type[AliseUnavailable]) -> None:
    with pytest.raises(AliseUnavailable) as raised:
        alise_answers.resolved(reply)
    assert type(raised.value) is kind


def test_a_batch_has_one_entry_for_each() -> None:
    entries = [{"username": "a"}, {"code": "not_linked"}, {"code": "suspended"}]
    assert alise_answers.resolved_many(Reply(200, entries), 3) == [Linked("a"), NotLinked(), Suspended()]
    for wrong in (entries[:2], [*entries, {}], {"0": entries}, [1, 2, 3], None):
        with pytest.raises(AliseUnavailable):
            alise_answers.resolved_many(Reply(200, wrong), 3)


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"changes": []}, {"changes": [], "next": "7"}, {"changes": [{}], "next": 7}, {"changes": 7, "next": 7},
     {"changes": [{"iss": 1, "sub": "x"}], "next": 7}, {"changes": [], "next": 7, "reset": "no"}],
)  # fmt: skip
def test_changes_of_another_form_are_none(document: object) -> None:
    with pytest.raises(AliseUnavailable):
        alise_answers.changes(Reply(200, document))


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "https://x\r\nSet-Cookie: a=b", 'https://x/">', "https://x/<b>", "https://x y", "https://", 7, None,
     "https://" + "x" * 3000, "https://é.example.org", "https://x/\\"],
)  # fmt: skip
def test_a_page_that_is_no_plain_url_is_not_told(url: object) -> None:
    assert alise_answers.page(url) == ""


# --- the key


def test_the_key_is_in_no_repr() -> None:
    key = ApiKey("tp_secret")
    way = Way("https://alise.example.org", None, "", key)  # type: ignore[arg-type]
    assert "tp_secret" not in f"{key!r} {key!s} {way!r} {way!s}"


# --- whatever it says


WORDS = (
    *("username", "code", "link_url", "changes", "next", "reset", "iss", "sub"),
    *("internal", "external", "detail", "type", "error", "operation", "seq"),
)
VALUES = ("not_linked", "suspended", "not-mapped", "invalid", "alice", "", 0, -1, 7, 2**80, 1.5, True, None, "\ud800", "\0")


def anything(random: Random, depth: int = 0) -> object:
    kind = random.randrange(4) if depth < 4 else 0
    if kind == 1:
        return [anything(random, depth + 1) for _ in range(random.randrange(3))]
    if kind >= 2:
        return {random.choice(WORDS): anything(random, depth + 1) for _ in range(random.randrange(1, 5))}
    return random.choice(VALUES)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_an_answer_holds_is_an_outcome_or_unavailable_and_nothing_else(seed: int) -> None:
    """Another exception would end the authority."""
    random = Random(seed)
    for _ in range(5000):
        reply = Reply(random.choice((200, 401, 403, 404, 500)), anything(random))
        for read in (
            alise_answers.resolved,
            alise_answers.changes,
            lambda reply: alise_answers.mapped(reply, ALICE),
            lambda reply: alise_answers.resolved_many(reply, 1),
        ):
            try:
                read(reply)
            except AliseUnavailable:
                pass
