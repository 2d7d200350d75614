"""Which user names a site gives to people: the form, and names that never are anybody's. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

_LONGEST = 255


class UsernamePolicy(NamedTuple):
    pattern: str  # of the whole name
    denied: frozenset[str]

    def allows(self, username: str) -> bool:
        fits = len(username) <= _LONGEST and username not in self.denied
        return fits and bool(re.fullmatch(self.pattern, username))


class Site(Protocol):
    """As configured."""

    @property
    def name(self) -> str: ...

    @property
    def username_pattern(self) -> str: ...

    @property
    def denied_usernames(self) -> tuple[str, ...]: ...


def policies(sites: Iterable[Site]) -> Mapping[str, UsernamePolicy]:
    return {each.name: UsernamePolicy(each.username_pattern, frozenset(each.denied_usernames)) for each in sites}
