"""What the authority has counted since it started, as the observer asks for it."""

from collections import Counter
from collections.abc import Mapping

from common.key_cache import KeyCache
from teapot.authority.alise_links import AliseLinks
from teapot.authority.answers import Answers
from teapot.channel.observer_messages import Scraped

Series = list[tuple[tuple[str, ...], float]]


class Counts:
    def __init__(self, answers: Answers, keys: Mapping[str, KeyCache], alise: AliseLinks | None) -> None:
        self.outcomes: Counter[str] = Counter()  # "identified", or a problem's code
        self._answers, self._keys, self._alise = answers, keys, alise

    def scraped(self, ask: int, ready: bool, watched: int) -> Scraped:
        cache: Series = [(("hit",), float(self._answers.hits)), (("miss",), float(self._answers.misses))]
        return Scraped(
            ask,
            ready,
            {
                "teapot_identify_total": [((outcome,), float(number)) for outcome, number in self.outcomes.items()],
                "teapot_authority_cache_total": cache,
                "teapot_issuer_fetches_total": self._fetches(),
                "teapot_alise_lookups_total": _series(self._alise.lookups) if self._alise else [],
                "teapot_alise_cache_total": _series(self._alise.cache) if self._alise else [],
            },
            {
                "teapot_issuer_keys_age_seconds": self._ages(),
                "teapot_watched_accounts": [((), float(watched))],
                "teapot_alise_feed": [((), float(self._alise.is_told_of_changes))] if self._alise else [],
            },
            {},
        )

    def _fetches(self) -> Series:
        return [
            ((issuer, outcome), float(number))
            for issuer, keys in self._keys.items()
            for outcome, number in keys.fetches.items()
        ]

    def _ages(self) -> Series:
        """Of keys that were fetched at least once."""
        return [((issuer,), keys.age_s) for issuer, keys in self._keys.items() if keys.age_s != float("inf")]


def _series(counted: Counter[str]) -> Series:
    return [((outcome,), float(number)) for outcome, number in counted.items()]
