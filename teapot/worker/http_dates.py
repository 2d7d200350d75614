"""Dates as HTTP and WebDAV write them, without locale and without an import that happens late. Pure."""

import calendar
import re
import time
from functools import lru_cache

_YEAR_1, _YEAR_9999 = -62135596800, 253402300799  # all that the forms can say; a file's time may be any number of 64 bits
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


@lru_cache(maxsize=256)
def http_date(seconds: int) -> str:
    year, month, day, hour, minute, second, weekday, *_ = _utc(seconds)
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"


@lru_cache(maxsize=256)
def iso_date(seconds: int) -> str:
    year, month, day, hour, minute, second, *_ = _utc(seconds)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"


def _utc(seconds: int) -> time.struct_time:
    return time.gmtime(min(max(seconds, _YEAR_1), _YEAR_9999))


def read(value: bytes) -> int | None:
    """Seconds since the epoch; None for what is not an HTTP-date, which a recipient must ignore."""
    match = next(filter(None, (form.fullmatch(value.strip()) for form in _FORMS)), None)
    if match is None or match["month"].decode() not in _MONTHS:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        year += 2000 if year < 70 else 1900
    month = _MONTHS.index(match["month"].decode()) + 1
    return calendar.timegm((year, month, int(match["day"]), int(match["hour"]), int(match["minute"]), int(match["second"])))
