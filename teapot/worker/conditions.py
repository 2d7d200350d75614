"""Conditional requests, RFC 9110 section 13: may the method go on, given what stands at the path now? Pure.

Entity tags that cannot be read are refused: to overlook a condition could cost somebody a file. Dates that cannot be read are ignored, as
the RFC demands.
"""

import enum
import re
from collections.abc import Mapping

from teapot.worker import http_dates

CONDITIONS = frozenset(("if-match", "if-none-match", "if-modified-since", "if-unmodified-since"))
_TAG = re.compile(rb'[ \t]*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*')


class BadCondition(Exception):
    """A list of entity tags that is none: 400."""


class Verdict(enum.Enum):
    PROCEED = 0
    NOT_MODIFIED = 304
    FAILED = 412


def judge(fields: Mapping[str, bytes], etag: bytes | None, modified: float, reading: bool) -> Verdict:
    """The verdict on the conditions in the order of section 13.2.2. etag None: there is nothing at the path."""
    if CONDITIONS.isdisjoint(fields):
        return Verdict.PROCEED
    if not _may_touch(fields, etag, modified):
        return Verdict.FAILED
    if _is_news(fields, etag, modified, reading):
        return Verdict.PROCEED
    return Verdict.NOT_MODIFIED if reading else Verdict.FAILED


def range_stands(if_range: bytes | None, etag: bytes, modified: float, now: float) -> bool:
    """Whether a Range header is to be honoured: If-Range must name exactly this version (section 13.1.5).

    A date does so only after the second that it names is over: within it the file may change once more (section 8.8.2.2).
    """
    if if_range is None:
        return True
    if b'"' in if_range:
        return if_range.strip() == etag and not etag.startswith(b"W/")
    return http_dates.read(if_range) == int(modified) < int(now)


def _may_touch(fields: Mapping[str, bytes], etag: bytes | None, modified: float) -> bool:
    if (match := fields.get("if-match")) is not None:
        return etag is not None and (match.strip() == b"*" or (etag in _tags(match) and not etag.startswith(b"W/")))
    since = _date(fields, "if-unmodified-since")
    return since is None or etag is None or int(modified) <= since


def _is_news(fields: Mapping[str, bytes], etag: bytes | None, modified: float, reading: bool) -> bool:
    if (none_match := fields.get("if-none-match")) is not None:
        if none_match.strip() == b"*":
            return etag is None
        return etag is None or etag.removeprefix(b"W/") not in {tag.removeprefix(b"W/") for tag in _tags(none_match)}
    since = _date(fields, "if-modified-since") if reading else None
    return since is None or etag is None or int(modified) > since


def _date(fields: Mapping[str, bytes], name: str) -> int | None:
    return http_dates.read(fields[name]) if name in fields else None


def _tags(value: bytes) -> list[bytes]:
    found, at = [], 0
    while match := _TAG.match(value, at):
        found.append(match[1])
        at = match.end() + 1
        if match.end() == len(value):
            return found
        if value[match.end()] != ord(b","):
            break
    raise BadCondition("not a list of entity tags")
