"""Which account a caller has in each storage area, or why none; and whether the site lets that account be served at all."""

import asyncio
import logging
import time

from teapot import accounts
from teapot.authority.authenticate import Identity
from teapot.authority.map_identity import IdentityMap
from teapot.authority.refusal import Refusal
from teapot.channel import spawner_messages
from teapot.channel.authority_messages import Caller
from teapot.configuration import Accounts, StorageArea

log = logging.getLogger(__name__)

CACHE_S = 60.0
_DIRECTORY_S = 10.0
_MAX_CHECKED = 10_000


class Admission:
    def __init__(self, areas: tuple[StorageArea, ...], identities: IdentityMap, policy: Accounts, single_account: str) -> None:
        self._areas, self._identities, self._policy, self._single = areas, identities, policy, single_account
        self._checked: dict[str, tuple[float, str]] = {}  # account: until when, problem or ""

    async def anonymous(self) -> Caller:
        open_to_all = {area.name: area.anonymous_account for area in self._areas if area.anonymous_account}
        found, refused = await self._permitted(open_to_all)
        refused |= {area.name: "token_missing" for area in self._areas if not area.anonymous_account}
        return Caller("", "", "anonymous", (), (), False, found, refused, time.monotonic() + CACHE_S)

    async def admit(self, identity: Identity) -> Caller:
        wanted, refused = self._accounts(identity)
        found, against = await self._permitted(wanted)
        base = tuple(segment.encode() for segment in identity.issuer.base_path.split("/") if segment)
        left_s = identity.claims.expires - time.time()
        return Caller(
            identity.claims.subject,
            identity.claims.issuer,
            identity.issuer.profile,
            base,
            identity.capabilities,
            identity.has_capabilities,
            found,
            refused | against,
            time.monotonic() + min(CACHE_S, left_s),
        )

    def _accounts(self, identity: Identity) -> tuple[dict[str, str], dict[str, str]]:
        own, problem = "", ""
        try:
            own = self._identities.account(identity)
        except Refusal as refusal:
            problem = refusal.problem
            log.info("%s: %s", refusal.problem, refusal.detail)
        known = bool(own) or identity.has_capabilities
        wanted, refused = {}, {}
        for area in self._areas:
            if area.issuers and identity.claims.issuer not in area.issuers:
                refused[area.name] = "area_issuer"
            elif area.account == "identity" and own:
                wanted[area.name] = own
            elif area.account != "identity" and known:
                wanted[area.name] = area.account
            else:
                refused[area.name] = problem
        return wanted, refused

    async def _permitted(self, wanted: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        problems = {account: await self.problem(account) for account in set(wanted.values())}
        found = {area: account for area, account in wanted.items() if not problems[account]}
        return found, {area: problems[account] for area, account in wanted.items() if problems[account]}

    async def problem(self, account: str) -> str:
        """The site's policy on an account, remembered for a short time; "": it may be served."""
        until, problem = self._checked.get(account, (0.0, ""))
        if until < time.monotonic():
            problem = await self._look_up(account)
            while len(self._checked) >= _MAX_CHECKED:
                del self._checked[next(iter(self._checked))]
            self._checked[account] = time.monotonic() + min(CACHE_S, self._policy.recheck_s), problem
        return problem

    async def _look_up(self, account: str) -> str:
        if self._single:
            return "" if account == self._single else "account_not_served"
        try:
            return (await fingerprint(account, self._policy))[0]
        except TimeoutError:
            return "mapping_unavailable"


async def fingerprint(account: str, policy: Accounts) -> tuple[str, str]:
    """(problem or "", fingerprint) of an account as the directory has it now. TimeoutError: the directory hangs."""
    return await asyncio.wait_for(asyncio.to_thread(_looked_up, account, policy), _DIRECTORY_S)


def _looked_up(name: str, policy: Accounts) -> tuple[str, str]:
    try:
        account = accounts.look_up(name)
    except accounts.UnknownAccount:
        log.warning("the directory has no account %s", name)
        return "account_not_served", ""
    except OSError as failed:
        log.error("the account directory: %s", failed)
        return "mapping_unavailable", ""
    complaint = accounts.objection(account, policy)
    if complaint:
        log.warning("account %s is not served: %s", name, complaint)
    return "account_not_served" if complaint else "", spawner_messages.fingerprint(account.uid, account.gid, account.groups)
