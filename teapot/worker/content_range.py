"""The Content-Range of a PUT: which bytes of a file the body is (RFC 9110, section 14.5). Pure.

What cannot be read is refused: to overlook it would put a part in the place of the whole.
"""

import re
from typing import NamedTuple

# "bytes=" is not of the RFC, but what some data-lake clients write.
_FORM = re.compile(rb"bytes[ =][ \t]*([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)


class BadContentRange(Exception):
    """400."""


class Part(NamedTuple):
    start: int
    length: int
    whole: int | None  # how long the file is to be in the end, which may be after further parts; None: not said

    @property
    def end(self) -> int:
        return self.start + self.length


def read(value: bytes) -> Part:
    match = _FORM.fullmatch(value.strip(b" \t"))
    if not match:
        raise BadContentRange("not 'bytes FIRST-LAST/LENGTH'")
    first, last = int(match[1]), int(match[2])
    whole = None if match[3] == b"*" else int(match[3])
    if last < first or whole is not None and whole <= last:
        raise BadContentRange("ends before it begins, or behind the end of the whole")
    return Part(first, last + 1 - first, whole)
