"""Puts the authority's parts together from its settings, and takes them apart again."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from common import discovery
from common.https_json import JsonClient
from common.key_cache import KeyCache
from teapot.authority.account_directory import AccountDirectory
from teapot.authority.admission import Admission, Admitted
from teapot.authority.answers import Answers
from teapot.authority.authenticate import Authenticator
from teapot.authority.map_identity import IdentityMap
from teapot.authority.mapping_file import MappingFile
from teapot.channel.start import AuthorityStart
from teapot.configuration import StorageArea, Trust

MAX_WAIT_FOR_KEYS_S = 8.0  # with the directory's patience less than a gateway's own


class CannotServe(Exception):
    """Why the authority does not start, for the log."""


@dataclass(slots=True)
class Parts:
    answers: Answers
    keys: dict[str, KeyCache]
    directory: AccountDirectory
    mapping_file: MappingFile | None
    named_by_areas: frozenset[str]
    on_mapping_change: Callable[[Callable[[frozenset[str]], None]], None]

    @property
    def ready(self) -> bool:
        return self.mapping_file is None or self.mapping_file.available


def trusted(trust: Trust) -> ssl.SSLContext:
    try:
        tls = ssl.create_default_context(cafile=None if trust.ca == "system" else trust.ca)
        for folder in trust.ca_directories:
            tls.load_verify_locations(capath=folder)
    except (OSError, ssl.SSLError) as failed:
        raise CannotServe(f"trust: the certificates cannot be loaded ({trust.ca}): {failed}") from failed
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    return tls


@contextlib.asynccontextmanager
async def assemble(begin: AuthorityStart) -> AsyncIterator[Parts]:
    client = JsonClient(trusted(begin.trust), begin.outbound.proxy, begin.outbound.timeout_s)
    keys = {issuer.url: _key_cache(client, issuer.url, begin.outbound.timeout_s) for issuer in begin.issuers}
    directory = AccountDirectory(begin.accounts, begin.single_account)
    listeners: list[Callable[[frozenset[str]], None]] = []
    file = _mapping_file(begin, listeners)
    authenticator = Authenticator(begin.server, begin.issuers, keys)
    admission = Admission(begin.areas, IdentityMap(begin.mapping, file), directory)
    answers = Answers(_identify(authenticator, admission))
    try:
        yield Parts(answers, keys, directory, file, _named_by(begin.areas), listeners.append)
    finally:
        await answers.close()
        for cache in keys.values():
            await cache.close()
        await directory.close()
        await client.close()


def _key_cache(client: JsonClient, issuer: str, timeout_s: float) -> KeyCache:
    return KeyCache(lambda: discovery.key_set(client, issuer), min(timeout_s, MAX_WAIT_FOR_KEYS_S))


def _mapping_file(begin: AuthorityStart, listeners: list[Callable[[frozenset[str]], None]]) -> MappingFile | None:
    if begin.mapping.file is None or "file" not in begin.mapping.methods:
        return None

    def changed(no_more: frozenset[str]) -> None:
        for listener in listeners:
            listener(no_more)

    return MappingFile(begin.mapping.file.path, tuple(issuer.url for issuer in begin.issuers), changed)


def _identify(authenticator: Authenticator, admission: Admission) -> Callable[[str], Coroutine[Any, Any, Admitted]]:
    async def identify(token: str) -> Admitted:
        if not token:
            return await admission.anonymous()
        return await admission.admit(await authenticator.authenticate(token))

    return identify


def _named_by(areas: tuple[StorageArea, ...]) -> frozenset[str]:
    """Accounts that serve an area whoever is mapped to them."""
    fixed = {area.account for area in areas if area.account != "identity"}
    return frozenset(fixed | {area.anonymous_account for area in areas if area.anonymous_account})
