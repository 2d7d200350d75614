"""May this caller do this here? Pure: the token's scopes, the storage areas, the site's rules. Says nothing of what exists.

Both ends of COPY and MOVE are asked about. Decided before anything is looked up in the file system, so that a refusal tells nothing
about it.
"""

import hashlib
from typing import NamedTuple

from teapot.channel.authority_messages import Caller
from teapot.channel.worker_messages import FILES_TOO, MAY_LIST, MAY_REPLACE
from teapot.gateway import scopes as scopes_table
from teapot.gateway.areas import Areas, Location
from teapot.gateway.failure import Failure
from teapot.gateway.receive import Received
from teapot.gateway.rules import NO_RULES, Rules
from teapot.gateway.scopes import Scopes

_ALL = MAY_REPLACE | MAY_LIST | FILES_TOO
_READING = frozenset(("GET", "HEAD", "PROPFIND", "OPTIONS"))


class Permit(NamedTuple):
    """What a worker of `account` may be asked to do. Made here only."""

    account: str
    location: Location
    rights: int
    target: Location | None
    target_rights: int
    principal: str  # of the caller, for whose locks are whose
    within: bytes = b""  # what no symbolic link may lead out of, relative to the area's root
    target_within: bytes = b""


def authorise(caller: Caller, received: Received, areas: Areas, rules: Rules = NO_RULES) -> Permit:
    location = areas.locate(received.path)
    target = areas.locate(received.target) if received.target else None
    account = _account(caller, location, received.method)
    if target and _account(caller, target, received.method) != account:
        raise Failure("between_accounts")
    rights, target_rights, within, target_within = _by_scopes(caller, received.method, location, target)
    rights, target_rights = rules.narrowed(caller.rules, received.method, (rights, target_rights), location, target)
    _refuse_read_only(received.method, location, target)
    return Permit(account, location, rights, target, target_rights, _principal(caller), within, target_within)


def _principal(caller: Caller) -> str:
    """Short, the same after a restart and on other nodes, and no name: it is kept where others may read it."""
    identity = f"{len(caller.issuer)}:{caller.issuer}{caller.subject}"
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _account(caller: Caller, location: Location, method: str) -> str:
    name = location.area.name
    if caller.profile == "anonymous" and method not in _READING:
        raise Failure("anonymous_read_only" if name in caller.accounts else "token_missing")
    if name in caller.accounts:
        return caller.accounts[name]
    problem = caller.refusals.get(name, "token_missing" if caller.profile == "anonymous" else "not_mapped")
    raise Failure(problem, link_url=caller.link_url if problem == "not_linked" else "")


def _refuse_read_only(method: str, location: Location, target: Location | None) -> None:
    written = {"COPY": (target,), "MOVE": (location, target)}.get(method, (location,))
    if method not in _READING and any(one and one.area.read_only for one in written):
        raise Failure("read_only")


def _by_scopes(caller: Caller, method: str, location: Location, target: Location | None) -> tuple[int, int, bytes, bytes]:
    """Rights at the location and at the target, and the bounds of both."""
    if not caller.has_capabilities:
        return _ALL, _ALL, b"", b""
    scopes = Scopes(caller)
    rights = scopes_table.rights(scopes, method, location, target)
    if rights is None:
        raise Failure("insufficient_scope")
    return *rights, *scopes_table.bounds(scopes, method, location, target)
