"""Gateway and authority: who is the bearer of this token, and which accounts may be reached for them?

    gateway  Identify(ask, token)      authority  Identified(ask, caller) | Refused(ask, problem, ...)
                                       authority  Forget: every cached answer is void, now

Before the authority answers Identified it has told the spawner, on a socket of their own, which accounts this gateway may
reach and until when. Times are of CLOCK_MONOTONIC, which all processes of one machine share.
"""

from msgspec import Struct


class Identify(Struct, frozen=True, array_like=True, tag=0):
    ask: int
    request_id: str
    token: str  # the bearer token as sent; "" asks for what may be reached without one. It is in no repr.

    def __repr__(self) -> str:
        return f"Identify(ask={self.ask}, request_id={self.request_id!r})"


class Capability(Struct, frozen=True, array_like=True):
    action: str  # read | create | modify | stage | poll
    path: tuple[bytes, ...]  # decoded segments, relative to the issuer's base_path
    collection: bool  # the scope's path ended in "/": not a file of that name


class Caller(Struct, frozen=True, array_like=True):
    """A verified identity and what it may reach. Made by the authority only."""

    subject: str
    issuer: str  # "" for the anonymous caller
    profile: str  # wlcg | scitokens | identity | anonymous
    base_path: tuple[bytes, ...]  # of the issuer, as segments
    capabilities: tuple[Capability, ...]
    has_capabilities: bool  # any capability at all, even one that means nothing here: groups are ignored then
    accounts: dict[str, str]  # name of the storage area: account, where there is one
    refusals: dict[str, str]  # name of the storage area: code of channel/problems.py, where there is none
    cache_until: float  # monotonic
    link_url: str = ""  # where somebody who is not_linked can link an account; "": there is no such page
    rules: tuple[int, ...] = ()  # those of the site's [[rule]] that are about the caller, by their places


class Identified(Struct, frozen=True, array_like=True, tag=1):
    ask: int
    caller: Caller


class Refused(Struct, frozen=True, array_like=True, tag=2):
    ask: int
    problem: str  # a code of channel/problems.py
    detail: str  # for the log: no token, no key


class Forget(Struct, frozen=True, array_like=True, tag=3):
    pass


ToAuthority = Identify
FromAuthority = Identified | Refused | Forget
