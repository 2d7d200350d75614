"""Which service is asking: the API key of a request, where it stands, and whether it counts at this site.

A key that counts is remembered for a second, so that look-ups do not read it anew each time; a revoked one is refused within that second.
Who guesses has to wait, and is told so before anything is read; a service whose key has just counted is never kept out by its neighbours.
"""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from aiohttp import web

from alise.http.access_log import KEY_ID
from alise.http.allowance import Allowance
from alise.http.client_address import ClientAddresses, household
from alise.storage.api_keys import key_hash
from alise.storage.lookup import Lookup
from alise.storage.usage import Usage

_REMEMBERED_S = 1.0
_MOST_REMEMBERED = 1000
_LONGEST_KEY = 256


class KeyRefused(Exception):
    def __init__(self, code: Literal["missing", "invalid_key", "wrong_site", "rate_limited"], wait_s: float = 0.0) -> None:
        super().__init__(code)
        self.code, self.wait_s = code, wait_s


class _Known(NamedTuple):
    id: str
    site_id: int
    asked_at: float

    def stands(self, now: float) -> bool:
        """Not when the clock was set back since."""
        return self.asked_at <= now < self.asked_at + _REMEMBERED_S


class KeyDesk:
    def __init__(
        self, lookup: Lookup, usage: Usage, addresses: ClientAddresses, failures: Allowance, clock: Callable[[], float] = time.time
    ) -> None:
        self._lookup, self._usage, self._addresses, self._failures, self._clock = lookup, usage, addresses, failures, clock
        self._known: dict[str, _Known] = {}  # by the key itself: a look-up does not pay for a hash, and takes no time that tells of it

    async def require(self, request: web.Request, site: str) -> None:
        """KeyRefused unless the request has a key of this site."""
        key = key_of(request)
        if key is None:
            raise KeyRefused("missing")
        known = await self.find(request, key)
        if known is None:
            raise KeyRefused("invalid_key")
        request[KEY_ID] = known.id
        if self._lookup.catalogue.sites.get(site) != known.site_id:
            raise KeyRefused("wrong_site")

    async def find(self, request: web.Request, key: str) -> _Known | None:
        """None, and it is counted against the client, when it does not count."""
        now, known = self._clock(), self._known.get(key)
        if known and known.stands(now):
            return known
        client = household(self._addresses.of(request))
        if not known and (wait_s := self._failures.wait_s(client)):
            raise KeyRefused("rate_limited", wait_s)
        found = await self._lookup.key(key_hash(key), now) if len(key) <= _LONGEST_KEY else None
        if found is None:
            self._known.pop(key, None)
            self._failures.spend(client)
            return None
        self._usage.note_key(found.id)
        return self._remember(key, _Known(found.id, found.site_id, now))

    def _remember(self, key: str, known: _Known) -> _Known:
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = known
        return known


def key_of(request: web.Request) -> str | None:
    """In a header; in the query as v1 has it, which no log of ours shows."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return request.headers.get("X-API-Key") or request.query.get("apikey") or None
