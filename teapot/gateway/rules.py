"""What the site's [[rule]]s allow a caller at a location. Pure.

An area that has rules is closed but for what they permit, and what one denies is denied whatever others permit. They only narrow what
scopes and the account allow. Whom a rule is about, the authority has found out: a caller brings the places of those that are about it.
What is about a collection with its members asks the rules about everything below it; and no symbolic link is followed where there are
rules, for it could lead from a path that they permit to one that they deny.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from teapot.channel.worker_messages import EMPTY_ONLY, FILES_TOO, MAY_LIST, NO_LINKS
from teapot.configuration import Rule
from teapot.gateway.areas import Location
from teapot.gateway.failure import Failure

_ALL_ACTIONS = frozenset(("list", "read", "write", "delete"))
_WRITING = frozenset(("PUT", "MKCOL", "LOCK", "UNLOCK", "PROPPATCH"))


class Extent(NamedTuple):
    """Where something holds."""

    here: bool
    all_below: bool  # wherever below here
    some_below: bool  # perhaps somewhere


class PathPattern:
    """A glob of whole segments: * and ? within a name, ** for any number of collections, also none."""

    def __init__(self, text: str) -> None:
        self._steps = tuple(None if step == "**" else _of_name(step) for step in text.split("/") if step)

    def extent(self, segments: tuple[str, ...]) -> Extent:
        """The positions in the pattern that the segments lead to, as in a finite automaton."""
        reached = self._past_stars({0})
        for segment in segments:
            reached = self._past_stars({after for at in reached for after in self._after(at, segment)})
        last = len(self._steps)
        return Extent(last in reached, any(self._steps[at:] == (None,) for at in reached), any(at < last for at in reached))

    def _after(self, at: int, segment: str) -> tuple[int, ...]:
        if at == len(self._steps):
            return ()
        step = self._steps[at]
        if step is None:
            return (at,)
        return (at + 1,) if step.fullmatch(segment) else ()

    def _past_stars(self, reached: set[int]) -> set[int]:
        """** may stand for nothing."""
        for at in sorted(reached):
            while at < len(self._steps) and self._steps[at] is None:
                at += 1
                reached.add(at)
        return reached


class _Compiled(NamedTuple):
    number: int
    permits: bool
    actions: frozenset[str]
    patterns: tuple[PathPattern, ...]


class Rules:
    def __init__(self, rules: tuple[Rule, ...] = ()) -> None:
        self._by_area: dict[str, list[_Compiled]] = {}
        for number, rule in enumerate(rules):
            actions = _ALL_ACTIONS if "all" in rule.actions else frozenset(rule.actions)
            compiled = _Compiled(number, rule.effect == "permit", actions, tuple(map(PathPattern, rule.paths)))
            self._by_area.setdefault(rule.area, []).append(compiled)

    def narrowed(
        self, about: tuple[int, ...], method: str, rights: tuple[int, int], location: Location, target: Location | None
    ) -> tuple[int, int]:
        """Of the rights at both ends, what is left. Failure denied_by_rule. about: the places of the rules that are about the caller."""
        if not self._by_area or not any(one and one.area.name in self._by_area for one in (location, target)):
            return rights
        here, there = self._at(about, location), self._at(about, target)
        if method == "MOVE" and there.reads and not here.reads:
            raise Failure("denied_by_rule", "what may not be read here could be read there")
        left = here.as_source(method, rights[0]), there.as_target(rights[1]) if target else rights[1]
        if None in left:
            raise Failure("denied_by_rule")
        return left  # type: ignore[return-value]

    def _at(self, about: tuple[int, ...], location: Location | None) -> "_End":
        if location is None or location.area.name not in self._by_area:
            return _End(None)
        segments = tuple(one.decode("utf-8", "surrogateescape") for one in location.path.split(b"/") if one)
        rules = [rule for rule in self._by_area[location.area.name] if rule.number in about]
        return _End({action: _extent(rules, action, segments) for action in _ALL_ACTIONS})


class _End:
    """What the rules say at one end of a request."""

    def __init__(self, extents: dict[str, Extent] | None) -> None:
        """None: there are no rules."""
        self._extents = extents

    @property
    def reads(self) -> bool:
        return self._extents is None or self._extents["read"].here

    def as_source(self, method: str, rights: int) -> int | None:
        """Rights, or None: refused. For what has no target, the source is all."""
        extents = self._extents
        if extents is None or method == "OPTIONS":
            return rights
        if method == "GET":
            return _if(extents["read"].here, rights) or _if(extents["list"].here, rights & ~FILES_TOO)
        if method in ("HEAD", "PROPFIND"):
            return self._stat(rights)
        if method in _WRITING:
            return _if(extents["write"].here, rights)
        needed = {"DELETE": ("delete",), "COPY": ("read",), "MOVE": ("write",)}[method]
        return self._with_members(rights, *needed)

    def as_target(self, rights: int) -> int | None:
        """A collection that is replaced there goes with its members."""
        if self._extents is None:
            return rights
        written = _if(self._extents["write"].here, rights)
        whole = self._extents["write"].all_below and self._extents["delete"].all_below
        return written if whole or written is None else written | EMPTY_ONLY

    def _stat(self, rights: int) -> int | None:
        """Of the way to what is permitted somewhere below, only that it is a collection."""
        extents = self._extents or {}
        if extents["read"].here or extents["list"].here:
            return rights | NO_LINKS
        if any(extent.here for extent in extents.values()):
            return _if(True, rights & ~MAY_LIST)
        return _if(any(extent.some_below for extent in extents.values()), rights & ~(MAY_LIST | FILES_TOO))

    def _with_members(self, rights: int, *actions: str) -> int | None:
        extents = self._extents or {}
        allowed = _if(all(extents[action].here for action in actions), rights)
        whole = all(extents[action].all_below for action in actions)
        return allowed if whole or allowed is None else allowed | EMPTY_ONLY


def _if(allowed: bool, rights: int) -> int | None:
    return rights | NO_LINKS if allowed else None


def _extent(rules: Iterable[_Compiled], action: str, segments: tuple[str, ...]) -> Extent:
    permitted: list[Extent] = []
    denied: list[Extent] = []
    for rule in rules:
        if action in rule.actions:
            (permitted if rule.permits else denied).extend(pattern.extent(segments) for pattern in rule.patterns)
    forbidden = any(one.here for one in denied)
    return Extent(
        here=any(one.here for one in permitted) and not forbidden,
        all_below=any(one.all_below for one in permitted) and not any(one.here or one.some_below for one in denied),
        some_below=any(one.some_below for one in permitted),
    )


def _of_name(step: str) -> re.Pattern[str]:
    """Within one segment."""
    parts = (".*" if letter == "*" else "." if letter == "?" else re.escape(letter) for letter in step)
    return re.compile("".join(parts), re.DOTALL)


NO_RULES = Rules()
