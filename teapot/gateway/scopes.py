"""What a token's capabilities allow at a location, by one table of the methods. Pure.

Scopes only narrow what the account may do. Segments are compared, never strings.
"""

from collections.abc import Callable

from teapot.channel.authority_messages import Caller, Capability
from teapot.channel.worker_messages import BY_CAPABILITY, FILES_TOO, MAY_LIST, MAY_REPLACE
from teapot.gateway.areas import Location


class Scopes:
    """What the token's capabilities say about a location."""

    def __init__(self, caller: Caller) -> None:
        self._base = caller.base_path
        self._capabilities = caller.capabilities

    def _path(self, capability: Capability, location: Location) -> tuple[bytes, ...]:
        """In our URLs: scope paths are relative to what the area says, or else to what the issuer says."""
        return (location.base if location.base is not None else self._base) + capability.path

    def covers(self, location: Location, *actions: str) -> bool:
        """A capability for one of the actions on this path or above it."""
        return any(one.action in actions and self._holds(one, location) for one in self._capabilities)

    def below(self, location: Location, *actions: str) -> bool:
        """This path is an ancestor of what some capability for one of the actions is for."""
        here = location.segments
        paths = (self._path(one, location) for one in self._capabilities if one.action in actions)
        return any(len(path) > len(here) and path[: len(here)] == here for path in paths)

    def widest(self, location: Location, *actions: str) -> tuple[bytes, ...] | None:
        """The shortest path that a capability for one of the actions names, of those that cover this location."""
        at = location._replace(collection=True)
        paths = [self._path(one, at) for one in self._capabilities if one.action in actions and self._holds(one, at)]
        return min(paths, key=len, default=None)

    def _holds(self, capability: Capability, location: Location) -> bool:
        path = self._path(capability, location)
        if location.segments[: len(path)] != path:
            return False
        exact = len(location.segments) == len(path)
        return not (exact and capability.collection and path and not location.collection)


Rights = tuple[int, int] | None  # at the location, at the target; None: refused


def _stat(scopes: Scopes, at: Location, target: Location | None) -> Rights:
    if scopes.covers(at, "read", "create", "modify", "stage"):
        return FILES_TOO | (MAY_LIST if scopes.covers(at, "read") else 0), 0
    return (0, 0) if scopes.below(at, "read", "create", "modify", "stage") or _is_its_collection(scopes, at) else None


def _is_its_collection(scopes: Scopes, at: Location) -> bool:
    """storage.read:/a/ is for the collection /a, however its URL is written."""
    return not at.collection and scopes.covers(at._replace(collection=True), "read", "create", "modify", "stage")


def _get(scopes: Scopes, at: Location, target: Location | None) -> Rights:
    if scopes.covers(at, "read"):
        return FILES_TOO | MAY_LIST, 0
    return (MAY_LIST, 0) if scopes.covers(at._replace(collection=True), "read") else None


def _put(scopes: Scopes, at: Location, target: Location | None) -> Rights:
    if scopes.covers(at, "modify"):
        return MAY_REPLACE | FILES_TOO, 0
    return (FILES_TOO, 0) if scopes.covers(at, "create") else None


def _mkcol(scopes: Scopes, at: Location, target: Location | None) -> Rights:
    """Also the way to what may be written; who may only read makes nothing."""
    as_collection = at._replace(collection=True)
    return (0, 0) if scopes.covers(as_collection, "create", "modify") or scopes.below(at, "create", "modify") else None


def _delete(scopes: Scopes, at: Location, target: Location | None) -> Rights:
    return (FILES_TOO | BY_CAPABILITY, 0) if scopes.covers(at, "modify") else None


def _change(scopes: Scopes, at: Location, target: Location | None) -> Rights:
    """Locks and properties: of what may be replaced. A lock on what is not there makes a file."""
    return (MAY_REPLACE | FILES_TOO, 0) if scopes.covers(at, "modify") else None


def _move(scopes: Scopes, at: Location, target: Location | None) -> Rights:
    assert target is not None
    if scopes.covers(at, "modify") and scopes.covers(target, "modify"):
        return FILES_TOO, MAY_REPLACE | FILES_TOO | BY_CAPABILITY
    both = scopes.covers(at, "create", "modify") and scopes.covers(target, "create", "modify")
    return (FILES_TOO, FILES_TOO) if both else None


def _copy(scopes: Scopes, at: Location, target: Location | None) -> Rights:
    assert target is not None
    written = _put(scopes, target, None)
    if not written or not scopes.covers(at, "read"):
        return None
    return FILES_TOO, written[0] | (BY_CAPABILITY if written[0] & MAY_REPLACE else 0)


_TABLE: dict[str, Callable[[Scopes, Location, Location | None], Rights]] = {
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

# By which capabilities, the first kind that covers the location, what lies below it is bounded: at the location, at the target.
_STAT = (("read", "create", "modify", "stage"),)
_READ, _MODIFY, _WRITE = (("read",),), (("modify",),), (("modify",), ("create",))
_BOUNDED_BY: dict[str, tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]] = {
    "OPTIONS": ((), ()),
    "HEAD": (_STAT, ()),
    "PROPFIND": (_STAT, ()),
    "GET": (_READ, ()),
    "PUT": (_WRITE, ()),
    "MKCOL": (_WRITE, ()),
    "DELETE": (_MODIFY, ()),
    "MOVE": (_WRITE, _WRITE),
    "COPY": (_READ, _WRITE),
    "PROPPATCH": (_MODIFY, ()),
    "LOCK": (_MODIFY, ()),
    "UNLOCK": (_MODIFY, ()),
}


def rights(scopes: Scopes, method: str, at: Location, target: Location | None) -> Rights:
    return _TABLE[method](scopes, at, target)


def bounds(scopes: Scopes, method: str, at: Location, target: Location | None) -> tuple[bytes, bytes]:
    """What no symbolic link may lead out of, relative to the areas' roots: b"" for the whole area."""
    by, by_target = _BOUNDED_BY[method]
    return _bound(scopes, at, by), _bound(scopes, target, by_target) if target else b""


def _bound(scopes: Scopes, location: Location, by: tuple[tuple[str, ...], ...]) -> bytes:
    for actions in by:
        path = scopes.widest(location, *actions)
        if path is not None:
            return location.below_area(path)
    return b""
