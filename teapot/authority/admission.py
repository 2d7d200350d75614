"""Which account a caller has in each storage area, or why none; and until when that may be relied upon."""

import asyncio
import logging
import time
from typing import NamedTuple

from teapot.authority.account_directory import AccountDirectory, DirectoryUnavailable
from teapot.authority.authenticate import Identity
from teapot.authority.map_identity import FOR_EVER, IdentityMap
from teapot.authority.refusal import Refusal
from teapot.channel.authority_messages import Caller
from teapot.configuration import StorageArea

log = logging.getLogger(__name__)

CACHE_S = 60.0
REFUSED_CACHE_S = 5.0  # somebody who was refused does something about it, and comes again
ROW_BEYOND_CACHE_S = 60.0  # a gateway has so long to use what it was answered
ROW_BEYOND_EXPIRY_S = 1.0

Places = dict[str, str]  # name of a storage area: account, or problem


class Admitted(NamedTuple):
    """Made by Admission only."""

    caller: Caller
    rows_until: float  # monotonic: how long a gateway may reach the caller's accounts


class _Own(NamedTuple):
    """The account that an identity is mapped to, or the problem why there is none."""

    account: str = ""
    until: float = FOR_EVER
    problem: str = ""
    link_url: str = ""


class Decided(NamedTuple):
    accounts: Places
    refusals: Places


def decide(areas: tuple[StorageArea, ...], identity: Identity, own: str, problem: str) -> Decided:
    """Whose account serves this identity where. Pure.

    own: the account that the identity is mapped to, or "" and the problem why there is none. An area with a fixed
    account is for those who are mapped, and for those whose token holds a storage capability, which the gateway
    compares with the path.
    """
    accounts, refusals = {}, {}
    for area in areas:
        if area.issuers and identity.claims.issuer not in area.issuers:
            refusals[area.name] = "area_issuer"
        elif area.account == "identity" and own:
            accounts[area.name] = own
        elif area.account != "identity" and (own or identity.capabilities):
            accounts[area.name] = area.account
        else:
            refusals[area.name] = problem
    return Decided(accounts, refusals)


def decide_anonymous(areas: tuple[StorageArea, ...]) -> Decided:
    return Decided(
        {area.name: area.anonymous_account for area in areas if area.anonymous_account},
        {area.name: "token_missing" for area in areas if not area.anonymous_account},
    )


class Admission:
    def __init__(self, areas: tuple[StorageArea, ...], identities: IdentityMap, directory: AccountDirectory) -> None:
        self._areas, self._identities, self._directory = areas, identities, directory

    async def anonymous(self) -> Admitted:
        accounts, refusals = await self._served(decide_anonymous(self._areas))
        now = time.monotonic()
        caller = Caller("", "", "anonymous", (), (), False, accounts, refusals, now + CACHE_S)
        return Admitted(caller, now + CACHE_S + ROW_BEYOND_CACHE_S)

    async def admit(self, identity: Identity) -> Admitted:
        own = await self._own_account(identity)
        accounts, refusals = await self._served(decide(self._areas, identity, own.account, own.problem))
        now, left_s = time.monotonic(), identity.claims.expires - time.time()
        caller = Caller(
            subject=identity.claims.subject,
            issuer=identity.claims.issuer,
            profile=identity.issuer.profile,
            base_path=tuple(segment.encode() for segment in identity.issuer.base_path.split("/") if segment),
            capabilities=identity.capabilities,
            has_capabilities=identity.has_capabilities,
            accounts=accounts,
            refusals=refusals,
            cache_until=min(now + min(REFUSED_CACHE_S if refusals else CACHE_S, left_s), own.until),
            link_url=own.link_url,
        )
        return Admitted(caller, now + min(CACHE_S + ROW_BEYOND_CACHE_S, left_s + ROW_BEYOND_EXPIRY_S))

    async def _own_account(self, identity: Identity) -> _Own:
        try:
            mapped = await self._identities.account(identity)
        except Refusal as refusal:
            log.info("%s: %s", refusal.problem, refusal.detail)
            return _Own(problem=refusal.problem, link_url=refusal.link_url)
        return _Own(mapped.account, mapped.until)

    async def _served(self, decided: Decided) -> Decided:
        """The site's policy has the last word on each account."""
        names = sorted(set(decided.accounts.values()))
        verdicts = dict(zip(names, await asyncio.gather(*map(self._verdict, names)), strict=True))
        accounts, refusals = {}, dict(decided.refusals)
        for area, name in decided.accounts.items():
            account, problem = verdicts[name]
            if problem:
                refusals[area] = problem
            else:
                accounts[area] = account
        return Decided(accounts, refusals)

    async def _verdict(self, name: str) -> tuple[str, str]:
        """(account, "") or ("", problem)."""
        try:
            standing = await self._directory.standing(name)
        except DirectoryUnavailable as unavailable:
            log.error("account %s: %s", name, unavailable)
            return "", "directory_unavailable"
        return ("", "account_not_served") if standing.objection else (standing.name, "")
