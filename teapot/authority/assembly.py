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
from teapot.authority.admission import Admission, Admitted, Site
from teapot.authority.answers import Answers
from teapot.authority.authenticate import Authenticator
from teapot.authority.cannot_serve import CannotServe
from teapot.authority.mapping_sources import MappingSources
from teapot.authority.membership_source import MembershipSource
from teapot.channel import start
from teapot.channel.start import AuthorityStart
from teapot.configuration import StorageArea, Trust

MAX_WAIT_FOR_KEYS_S = 8.0  # with the directory's patience less than a gateway's own


@dataclass(slots=True)
class Parts:
    answers: Answers
    keys: dict[str, KeyCache]
    directory: AccountDirectory
    mappings: MappingSources
    named_by_areas: frozenset[str]


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
    tls = trusted(begin.trust)
    client = JsonClient(tls, begin.outbound.proxy, begin.outbound.timeout_s)
    keys = {issuer.url: _key_cache(client, issuer.url, begin.outbound.timeout_s) for issuer in begin.issuers}
    directory = AccountDirectory(begin.accounts, begin.single_account)
    secrets = start.read_secrets(begin)
    mappings = MappingSources(begin, secrets.alise, tls)
    authenticator = Authenticator(begin.server, begin.issuers, keys)
    memberships = {issuer.url: MembershipSource(issuer, client, secrets.issuers.get(issuer.url, "")) for issuer in begin.issuers}
    site = Site(begin.areas, begin.rules, begin.bans)
    admission = Admission(site, begin.mapping, mappings.identities, directory, memberships)
    answers = Answers(_identify(authenticator, admission))
    try:
        yield Parts(answers, keys, directory, mappings, _named_by(begin.areas))
    finally:
        await answers.close()
        await mappings.close()
        for cache in keys.values():
            await cache.close()
        await directory.close()
        await client.close()


def _key_cache(client: JsonClient, issuer: str, timeout_s: float) -> KeyCache:
    return KeyCache(lambda: discovery.key_set(client, issuer), min(timeout_s, MAX_WAIT_FOR_KEYS_S))


def _identify(authenticator: Authenticator, admission: Admission) -> Callable[[str], Coroutine[Any, Any, Admitted]]:
    async def identify(token: str) -> Admitted:
        if not token:
            return await admission.anonymous()
        return await admission.admit(await authenticator.authenticate(token))

    return identify


def _named_by(areas: tuple[StorageArea, ...]) -> frozenset[str]:
    """Accounts that serve an area whoever is mapped to them."""
    fixed = {area.account for area in areas if area.account not in ("identity", "vo")}
    return frozenset(fixed | {area.anonymous_account for area in areas if area.anonymous_account})
