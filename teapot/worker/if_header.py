"""The If header, RFC 4918 section 10.4: lists of conditions on lock tokens and entity tags. Pure.

Read to the letter, because it is a condition: to overlook one that is misspelt could cost somebody a file.
"""

import functools
import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

MOST_LISTS, MOST_CONDITIONS = 64, 256
_SPACE = rb"[ \t]*"
_RESOURCE = re.compile(rb"[ \t]*<([^<>\s]+)>[ \t]*")
_OPEN = re.compile(rb"[ \t]*\([ \t]*")
_CONDITION = re.compile(
    rb"(?:(?P<negated>[Nn][Oo][Tt])[ \t]*)?"
    rb"(?:<(?P<token>[A-Za-z][A-Za-z0-9+.-]*:[^<>\s]*)>|\[[ \t]*(?P<tag>(?:W/)?\"[\x21\x23-\x7e\x80-\xff]*\")[ \t]*\])[ \t]*"
)
_AUTHORITY = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class BadIf(Exception):
    """400."""


class Condition(NamedTuple):
    negated: bool
    token: str  # "": about an entity tag
    tag: bytes


class Conditions(NamedTuple):
    """One list: all of it must hold."""

    resource: bytes | None  # as it was written; None: what the request is about
    conditions: tuple[Condition, ...]


class Found(NamedTuple):
    """What stands at a resource."""

    tag: bytes | None
    tokens: frozenset[str]


def read(value: bytes) -> tuple[Conditions, ...]:
    lists: list[Conditions] = []
    resource, at = None, 0
    fresh = tagged = _RESOURCE.match(value) is not None
    while at < len(value):
        if tagged and (named := _RESOURCE.match(value, at)):
            resource, at, fresh = named[1], named.end(), True
        conditions, at = _list(value, at)
        lists.append(Conditions(resource, conditions))
        fresh = False
        if len(lists) > MOST_LISTS or sum(len(one.conditions) for one in lists) > MOST_CONDITIONS:
            raise BadIf(f"more than {MOST_LISTS} lists, or {MOST_CONDITIONS} conditions")
    if not lists or fresh:
        raise BadIf("no list")
    return tuple(lists)


def _list(value: bytes, at: int) -> tuple[tuple[Condition, ...], int]:
    opening = _OPEN.match(value, at)
    if not opening:
        raise BadIf(f"at {at}: no list")
    at, found = opening.end(), []
    while match := _CONDITION.match(value, at):
        found.append(Condition(match["negated"] is not None, (match["token"] or b"").decode("latin-1"), match["tag"] or b""))
        at = match.end()
    if not found or value[at : at + 1] != b")":
        raise BadIf(f"at {at}: neither a condition nor the end of a list")
    at += 1
    while value[at : at + 1] in (b" ", b"\t"):
        at += 1
    return tuple(found), at


def tokens(lists: tuple[Conditions, ...]) -> frozenset[str]:
    """All that came along: a token counts as submitted wherever it is named (section 10.4.1)."""
    return frozenset(condition.token for one in lists for condition in one.conditions if condition.token)


def holds(lists: tuple[Conditions, ...], found: Callable[[bytes | None], Found]) -> bool:
    """`found` tells of a resource; None is what the request is about. It is asked once for each: that is a walk to the area's root."""
    once = functools.cache(found)
    return any(all(_true(condition, once(one.resource)) for condition in one.conditions) for one in lists)


def _true(condition: Condition, found: Found) -> bool:
    if condition.token:
        return (condition.token in found.tokens) is not condition.negated
    matches = condition.tag == found.tag and not condition.tag.startswith(b"W/")
    return matches is not condition.negated


def path_of(resource: bytes) -> tuple[bytes, ...] | None:
    """Segments of a resource tag. Whose URL it is we do not ask: this service has many names. None: not a path that we serve."""
    match = _AUTHORITY.match(resource)
    path = (resource[match.end() :] if match else resource).partition(b"?")[0] or b"/"
    if not path.startswith(b"/"):
        return None
    segments = tuple(unquote_to_bytes(piece) for piece in path.split(b"/") if piece)
    if any(segment in (b".", b"..") or b"/" in segment or b"\0" in segment for segment in segments):
        return None
    return segments
