"""May this caller do this here? Pure: one table of methods, the token's scopes, the storage areas. Says nothing of what exists.

Scopes only narrow what the account may do. Segments are compared, never strings. Both ends of COPY and MOVE are asked about. Decided before
anything is looked up in the file system, so that a refusal tells nothing about it.
"""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from teapot.channel.authority_messages import Caller, Capability
from teapot.channel.worker_messages import FILES_TOO, MAY_LIST, MAY_REPLACE
from teapot.configuration import StorageArea
from teapot.gateway.failure import Failure
from teapot.gateway.paths import UrlPath, parse
from teapot.gateway.receive import Received

_ALL = MAY_REPLACE | MAY_LIST | FILES_TOO
_READING = frozenset(("GET", "HEAD", "PROPFIND", "OPTIONS"))


class Location(NamedTuple):
    """A path in a storage area."""

    area: StorageArea
    path: bytes  # relative to the area's root
    segments: tuple[bytes, ...]  # of the whole URL
    collection: bool


class Permit(NamedTuple):
    """What a worker of `account` may be asked to do. Made here only."""

    account: str
    location: Location
    rights: int
    target: Location | None
    target_rights: int
    principal: str  # of the caller, for whose locks are whose


class Areas:
    """The storage areas by path; the longest match wins, by segments."""

    def __init__(self, areas: tuple[StorageArea, ...]) -> None:
        placed = [(parse(area.path).segments, area) for area in areas]
        self._areas = sorted(placed, key=lambda entry: -len(entry[0]))
        self.all = areas

    def locate(self, path: UrlPath) -> Location:
        for base, area in self._areas:
            if path.segments[: len(base)] == base:
                return Location(area, b"/".join(path.segments[len(base) :]), path.segments, path.collection)
        raise Failure("outside_area")


def authorise(caller: Caller, received: Received, areas: Areas) -> Permit:
    location = areas.locate(received.path)
    target = areas.locate(received.target) if received.target else None
    account = _account(caller, location, received.method)
    if target and _account(caller, target, received.method) != account:
        raise Failure("between_accounts")
    rights, target_rights = _rights(caller, received, location, target)
    _refuse_read_only(received.method, location, target)
    return Permit(account, location, rights, target, target_rights, _principal(caller))


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


def _rights(caller: Caller, received: Received, location: Location, target: Location | None) -> tuple[int, int]:
    if not caller.has_capabilities:
        return _ALL, _ALL
    scopes = _Scopes(caller)
    rights = _TABLE[received.method](scopes, location, target)
    if rights is None:
        raise Failure("insufficient_scope")
    return rights


class _Scopes:
    """What the token's capabilities say about a location."""

    def __init__(self, caller: Caller) -> None:
        self._base = caller.base_path
        self._capabilities = caller.capabilities

    def covers(self, location: Location, *actions: str) -> bool:
        """A capability for one of the actions on this path or above it."""
        return any(one.action in actions and self._holds(one, location) for one in self._capabilities)

    def below(self, location: Location) -> bool:
        """This path is an ancestor of what some capability (but poll) is for."""
        here = location.segments
        paths = (self._base + one.path for one in self._capabilities if one.action != "poll")
        return any(len(path) > len(here) and path[: len(here)] == here for path in paths)

    def _holds(self, capability: Capability, location: Location) -> bool:
        path = self._base + capability.path
        if location.segments[: len(path)] != path:
            return False
        exact = len(location.segments) == len(path)
        return not (exact and capability.collection and path and not location.collection)


Rights = tuple[int, int] | None  # at the location, at the target; None: refused


def _stat(scopes: _Scopes, at: Location, target: Location | None) -> Rights:
    if scopes.covers(at, "read", "create", "modify", "stage"):
        return FILES_TOO | (MAY_LIST if scopes.covers(at, "read") else 0), 0
    return (0, 0) if scopes.below(at) or _is_its_collection(scopes, at) else None


def _is_its_collection(scopes: _Scopes, at: Location) -> bool:
    """storage.read:/a/ is for the collection /a, however its URL is written."""
    return not at.collection and scopes.covers(at._replace(collection=True), "read", "create", "modify", "stage")


def _get(scopes: _Scopes, at: Location, target: Location | None) -> Rights:
    if scopes.covers(at, "read"):
        return FILES_TOO | MAY_LIST, 0
    return (MAY_LIST, 0) if scopes.covers(at._replace(collection=True), "read") else None


def _put(scopes: _Scopes, at: Location, target: Location | None) -> Rights:
    if scopes.covers(at, "modify"):
        return MAY_REPLACE | FILES_TOO, 0
    return (FILES_TOO, 0) if scopes.covers(at, "create") else None


def _mkcol(scopes: _Scopes, at: Location, target: Location | None) -> Rights:
    as_collection = at._replace(collection=True)
    return (0, 0) if scopes.covers(as_collection, "create", "modify") or scopes.below(at) else None


def _delete(scopes: _Scopes, at: Location, target: Location | None) -> Rights:
    return (FILES_TOO, 0) if scopes.covers(at, "modify") else None


def _change(scopes: _Scopes, at: Location, target: Location | None) -> Rights:
    """Locks and properties: of what may be replaced. A lock on what is not there makes a file."""
    return (MAY_REPLACE | FILES_TOO, 0) if scopes.covers(at, "modify") else None


def _move(scopes: _Scopes, at: Location, target: Location | None) -> Rights:
    assert target is not None
    if scopes.covers(at, "modify") and scopes.covers(target, "modify"):
        return FILES_TOO, MAY_REPLACE | FILES_TOO
    both = scopes.covers(at, "create", "modify") and scopes.covers(target, "create", "modify")
    return (FILES_TOO, FILES_TOO) if both else None


def _copy(scopes: _Scopes, at: Location, target: Location | None) -> Rights:
    assert target is not None
    written = _put(scopes, target, None)
    return (FILES_TOO, written[0]) if written and scopes.covers(at, "read") else None


_TABLE: dict[str, Callable[[_Scopes, Location, Location | None], Rights]] = {
    "OPTIONS": lambda scopes, at, target: (0, 0),
    "HEAD": _stat,
    "PROPFIND": _stat,
    "GET": _get,
    "PUT": _put,
    "MKCOL": _mkcol,
    "DELETE": _delete,
    "MOVE": _move,
    "COPY": _copy,
    "PROPPATCH": _change,
    "LOCK": _change,
    "UNLOCK": _change,
}
