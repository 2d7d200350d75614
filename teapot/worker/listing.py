"""A collection as a page for people: plain HTML without script, style or anything from elsewhere."""

import itertools
import os
from collections.abc import Generator, Iterator

from teapot.worker import http_dates, names
from teapot.worker.area import Area
from teapot.worker.members import Member, members

FIELDS = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
]
_SORTED = 5000  # members; what is beyond them follows as the file system tells it
_TOGETHER = 100


def page(area: Area, path: bytes, directory: int) -> Generator[bytes, None, None]:
    """Takes the descriptor over."""
    try:
        here = names.collection_url(area.settings.path, path)
        title = names.shown(path.rpartition(b"/")[2]) or names.in_text(here)
        yield f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>{title}</title></head><body>\n'.encode()
        yield f"<h1>{title}</h1>\n<table>\n".encode()
        found = members(area, path, directory, need_status=True)
        rows = (_row(here, member) for member in _ordered(found))
        while piece := "".join(itertools.islice(rows, _TOGETHER)):
            yield piece.encode()
        yield b"</table>\n</body></html>\n"
    finally:
        os.close(directory)


def _ordered(found: Iterator[Member]) -> Iterator[Member]:
    first = sorted(itertools.islice(found, _SORTED), key=lambda member: (not member.collection, member.name))
    return itertools.chain(first, found)


def _row(here: str, member: Member) -> str:
    end = "/" if member.collection else ""
    url = names.in_text(here + names.in_url(member.name) + end)
    shown = names.shown(member.name) or names.in_text(names.in_url(member.name))
    assert member.status is not None
    size = "" if member.collection else member.status.st_size
    changed = http_dates.iso_date(int(member.status.st_mtime))
    return f'<tr><td><a href="{url}">{shown}{end}</a></td><td>{size}</td><td>{changed}</td></tr>\n'
