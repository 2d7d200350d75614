"""What every REST handler is given: the configured parts, frozen."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from alise.login.provider import Provider
from alise.rest.bearer_tokens import BearerTokens
from alise.rest.change_feed import ChangeFeed
from alise.rest.key_desk import KeyDesk
from alise.storage.api_keys import ApiKeys
from alise.storage.lookup import Lookup
from alise.storage.usage import Usage


@dataclass(frozen=True)
class Api:
    public_url: str
    providers: Sequence[Provider]
    lookup: Lookup
    usage: Usage
    keys: KeyDesk
    api_keys: ApiKeys
    tokens: BearerTokens
    feed: ChangeFeed
    v1_all_identities: bool

    def link_url(self, site: str) -> str:
        """Where a person links an identity."""
        return f"{self.public_url}/{site}"


API: web.AppKey[Api] = web.AppKey("api", Api)
