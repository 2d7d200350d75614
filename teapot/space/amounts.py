"""Used and available bytes, and which of several limits counts. Pure."""

from collections.abc import Iterable
from typing import NamedTuple


class NotKnown(Exception):
    """A source that says nothing, or nothing that makes sense. Its text is for the log."""


class Space(NamedTuple):
    """In bytes. What is available is never negative: who is over a limit has nothing left."""

    used: int
    available: int


class Usage(NamedTuple):
    """What somebody uses, and may. `used` None: nobody counts it; `limit` None: as much as there is."""

    used: int | None
    limit: int | None


Answer = Space | Usage | NotKnown


def below(limit: int, used: int) -> Space:
    return Space(used, max(0, limit - used))


def tightest(found: Iterable[Space]) -> Space:
    """Of several limits on the same files, the one that is reached first."""
    return min(found, key=lambda space: space.available)


def limited(usage: Usage, file_system: Space) -> Space:
    """The usage is somebody's, the file system is everybody's: what it has left is all that anybody gets."""
    if usage.used is None:
        return file_system
    if usage.limit is None:
        return Space(usage.used, file_system.available)
    return tightest((below(usage.limit, usage.used), file_system))
