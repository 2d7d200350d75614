"""Which account a caller has in each storage area, or why none; and until when that may be relied upon."""

import asyncio
import logging
import time
from typing import NamedTuple

from teapot.authority import principals
from teapot.authority.account_directory import AccountDirectory, DirectoryUnavailable
from teapot.authority.authenticate import Identity
from teapot.authority.map_identity import FOR_EVER, IdentityMap
from teapot.authority.membership_source import MembershipSource, MembershipsUnavailable
from teapot.authority.memberships import NONE, Memberships, holds
from teapot.authority.refusal import Refusal
from teapot.channel.authority_messages import Caller
from teapot.configuration import Ban, Mapping, Rule, StorageArea

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


class Asking(NamedTuple):
    """What is known of somebody before it is decided."""

    identity: Identity
    held: Memberships | None  # None: the issuer cannot be asked at present
    own: str = ""  # the account that the identity is mapped to, or "" and the problem why there is none
    problem: str = ""
    vo: str = ""  # the account of [[mapping.vo]]


class Site(NamedTuple):
    """What the site has configured about who may enter where."""

    areas: tuple[StorageArea, ...]
    rules: tuple[Rule, ...] = ()
    bans: tuple[Ban, ...] = ()

    def asks_for_memberships(self, mapping: Mapping) -> bool:
        by_areas = any(area.members or area.account == "vo" for area in self.areas)
        return by_areas or bool(mapping.vo) or any(map(principals.asks_for_memberships, self.rules))


def decide(site: Site, asking: Asking) -> Decided:
    """Whose account serves this identity where. Pure."""
    accounts, refusals = {}, {}
    for area in site.areas:
        account, problem = "", _kept_out(area, asking, site.rules)
        if not problem:
            account, problem = _account(area, asking)
        if problem:
            refusals[area.name] = problem
        else:
            accounts[area.name] = account
    return Decided(accounts, refusals)


def _kept_out(area: StorageArea, asking: Asking, rules: tuple[Rule, ...]) -> str:
    """A token with capabilities stands for what they say, and its groups for nothing (WLCG profile, section 2.2.3)."""
    identity = asking.identity
    if area.issuers and identity.claims.issuer not in area.issuers:
        return "area_issuer"
    if area.capability_required and not identity.capabilities:
        return "capability_required"
    ruled = any(rule.area == area.name and principals.asks_for_memberships(rule) for rule in rules)
    members_only = bool(area.members) and not identity.has_capabilities
    if asking.held is None and (members_only or ruled):
        return "memberships_unavailable"
    if members_only and not holds(asking.held or NONE, identity.claims.issuer, area.members):
        return "not_member"
    return ""


def _account(area: StorageArea, asking: Asking) -> tuple[str, str]:
    """(account, "") or ("", problem). An area with a fixed account is for those who are mapped, for its members, and for those whose token
    holds a storage capability, which the gateway compares with the path.
    """
    if area.account == "identity":
        return asking.own, "" if asking.own else asking.problem
    if area.account == "vo":
        return asking.vo, "" if asking.vo else "memberships_unavailable" if asking.held is None else "not_member"
    if asking.own or asking.identity.capabilities or (area.members and not asking.identity.has_capabilities):
        return area.account, ""
    return "", asking.problem


def decide_anonymous(areas: tuple[StorageArea, ...]) -> Decided:
    return Decided(
        {area.name: area.anonymous_account for area in areas if area.anonymous_account},
        {area.name: "token_missing" for area in areas if not area.anonymous_account},
    )


class Admission:
    def __init__(
        self, site: Site, mapping: Mapping, identities: IdentityMap, directory: AccountDirectory, sources: dict[str, MembershipSource]
    ) -> None:
        """sources: of memberships, by issuer."""
        self._site, self._identities, self._directory, self._sources = site, identities, directory, sources
        self._asks = site.asks_for_memberships(mapping)

    async def anonymous(self) -> Admitted:
        accounts, refusals = await self._served(decide_anonymous(self._site.areas))
        now, rules = time.monotonic(), principals.rules_about(self._site.rules, None, NONE)
        caller = Caller("", "", "anonymous", (), (), False, accounts, refusals, now + CACHE_S, rules=rules)
        return Admitted(caller, now + CACHE_S + ROW_BEYOND_CACHE_S)

    async def admit(self, identity: Identity) -> Admitted:
        """Refusal banned, or token_revoked."""
        if ban := principals.banned(self._site.bans, identity):
            who = f"subject {identity.claims.subject!r} of {identity.claims.issuer}"
            raise Refusal("banned", f"{who}: {ban.reason or 'no reason is given'}")
        held = await self._held(identity)
        own = await self._own_account(identity, held)
        vo = self._identities.vo_account(identity.claims.issuer, held or NONE)
        accounts, refusals = await self._served(decide(self._site, Asking(identity, held, own.account, own.problem, vo)))
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
            rules=principals.rules_about(self._site.rules, identity, held or NONE),
        )
        return Admitted(caller, now + min(CACHE_S + ROW_BEYOND_CACHE_S, left_s + ROW_BEYOND_EXPIRY_S))

    async def _held(self, identity: Identity) -> Memberships | None:
        """None: cannot be found out at present. Of a token with capabilities no group counts."""
        if identity.has_capabilities or not self._asks:
            return NONE
        try:
            return await self._sources[identity.claims.issuer].held(identity.token, identity.claims)
        except MembershipsUnavailable as unavailable:
            log.error("memberships: %s", unavailable)
            return None

    async def _own_account(self, identity: Identity, held: Memberships | None) -> _Own:
        try:
            mapped = await self._identities.account(identity, held)
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
