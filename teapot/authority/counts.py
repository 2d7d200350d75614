"""What the authority has counted since it started, as the observer asks for it."""

from collections import Counter
from collections.abc import Mapping

from common.key_cache import KeyCache
from teapot.authority.answers import Answers
from teapot.channel.observer_messages import Scraped

Series = list[tuple[tuple[str, ...], float]]


class Counts:
    def __init__(self, answers: Answers, keys: Mapping[str, KeyCache]) -> None:
        self.outcomes: Counter[str] = Counter()  # "identified", or a problem's code
        self._answers, self._keys = answers, keys

    def scraped(self, ask: int, ready: bool, watched: int) -> Scraped:
        cache: Series = [(("hit",), float(self._answers.hits)), (("miss",), float(self._answers.misses))]
        return Scraped(
            ask,
            ready,
            {
                "teapot_identify_total": [((outcome,), float(number)) for outcome, number in self.outcomes.items()],
                "teapot_authority_cache_total": cache,
                "teapot_issuer_fetches_total": self._fetches(),
            },
            {"teapot_issuer_keys_age_seconds": self._ages(), "teapot_watched_accounts": [((), float(watched))]},
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
