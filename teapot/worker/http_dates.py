"""Dates as HTTP and WebDAV write them, without locale and without an import that happens late. Pure."""

import re
import time
from datetime import UTC, datetime
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CLOCK = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_MONTH = rb"(?P<month>[A-Z][a-z]{2})"
# IMF-fixdate, and the two obsolete forms that a recipient must still read (RFC 9110, section 5.6.7).
_FORMS = tuple(
    re.compile(form)
    for form in (
        rb"[A-Z][a-z]{2}, (?P<day>\d\d) " + _MONTH + rb" (?P<year>\d{4}) " + _CLOCK + rb" GMT",
        rb"[A-Z][a-z]{5,8}, (?P<day>\d\d)-" + _MONTH + rb"-(?P<year>\d\d) " + _CLOCK + rb" GMT",
        rb"[A-Z][a-z]{2} " + _MONTH + rb" (?P<day>[ \d]\d) " + _CLOCK + rb" (?P<year>\d{4})",
    )
)


# What has four digits for its year; a file may claim any time at all.
_EARLIEST, _LATEST = -30_610_224_000, 253_402_300_799


@lru_cache(maxsize=256)
def http_date(seconds: int) -> str:
    year, month, day, hour, minute, second, weekday, *_ = _gmtime(seconds)
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"


@lru_cache(maxsize=256)
def iso_date(seconds: int) -> str:
    year, month, day, hour, minute, second, *_ = _gmtime(seconds)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"


def read(value: bytes) -> int | None:
    """Seconds since the epoch; None for what is not an HTTP-date, which a recipient must ignore."""
    match = next(filter(None, (form.fullmatch(value.strip()) for form in _FORMS)), None)
    if match is None or match["month"].decode() not in _MONTHS:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        year = _century(year)
    day, hour, minute, second = (int(match[name]) for name in ("day", "hour", "minute", "second"))
    try:
        moment = datetime(year, _MONTHS.index(match["month"].decode()) + 1, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:  # there is no such day
        return None
    return int(moment.timestamp())


def _gmtime(seconds: int) -> time.struct_time:
    return time.gmtime(max(_EARLIEST, min(seconds, _LATEST)))


def _century(year: int) -> int:
    """Two digits that would lie more than 50 years ahead are of the past (RFC 9110, section 5.6.7)."""
    return 2000 + year if 2000 + year <= time.gmtime().tm_year + 50 else 1900 + year
