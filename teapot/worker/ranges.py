"""Byte ranges of RFC 9110, section 14: which pieces of a file a Range header asks for. Pure.

What it cannot understand it ignores, as the RFC demands: the whole file is sent then. Overlapping pieces are joined, so that no request
can be answered with more bytes than the file has.
"""

import re
from typing import NamedTuple

# davix packs a vector read into one header of up to 3900 bytes; more pieces than these are answered with the whole file.
MAX_RANGES = 1024
_SPECIFICATION = re.compile(rb"([0-9]{0,19})-([0-9]{0,19})")


class NotSatisfiable(Exception):
    """None of the ranges touches the file: 416."""


class Range(NamedTuple):
    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length


def wanted(header: bytes, size: int) -> list[Range]:
    """The ranges to send, at least one; an empty list: the header is to be ignored."""
    unit, _, rest = header.partition(b"=")
    if unit.strip().lower() != b"bytes":
        return []
    pieces = [piece.strip(b" \t") for piece in rest.split(b",")]
    pieces = [piece for piece in pieces if piece]
    matches = [_SPECIFICATION.fullmatch(piece) for piece in pieces]
    if not 0 < len(pieces) <= MAX_RANGES or not all(matches):
        return []
    asked = [_bounds(match[1], match[2], size) for match in matches if match]
    if any(bounds is None for bounds in asked) or not size and any(_is_suffix(match) for match in matches):
        return []
    found = [Range(start, end - start) for start, end in filter(None, asked) if start < end]
    if not found:
        raise NotSatisfiable
    return _joined(found)


def _bounds(first: bytes, last: bytes, size: int) -> tuple[int, int] | None:
    """Start and end (exclusive), an empty interval when not satisfiable; None: not a range at all."""
    if not first:
        return (max(0, size - int(last)), size) if last else None
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size


def _is_suffix(match: re.Match[bytes] | None) -> bool:
    """The last bytes of an empty file are there, all none of them, but no Content-Range can say so: the whole file is sent."""
    return match is not None and not match[1] and int(match[2]) > 0


def _joined(found: list[Range]) -> list[Range]:
    """In the order asked for while they are apart; else sorted, with those that overlap or touch made one."""
    ordered = sorted(found)
    if all(one.end < other.start for one, other in zip(ordered, ordered[1:], strict=False)):
        return found
    joined = ordered[:1]
    for piece in ordered[1:]:
        last = joined[-1]
        if piece.start <= last.end:
            joined[-1] = Range(last.start, max(last.end, piece.end) - last.start)
        else:
            joined.append(piece)
    return joined
