"""A collection as an HTML page for people: names, sizes, dates, in the order asked for. Everything in it is escaped, nothing executed.

Up to SORTED_AT_MOST members are sorted; of more, the page comes as the directory gives them, without being kept in memory.
"""

import html
import itertools
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from teapot.channel.worker_messages import LISTING_ORDERS
from teapot.pages import frame
from teapot.pages.frame import Step
from teapot.worker.area import Area, is_collection, is_file
from teapot.worker.hrefs import PLAIN, escaped, href
from teapot.worker.http_dates import iso_date
from teapot.worker.journal import is_hidden
from teapot.worker.refusal import Refusal

SORTED_AT_MOST = 10_000
_ROWS_A_PIECE = 200
_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")

_COLUMNS = {"name": "Name", "size": "Size", "changed": "Changed (UTC)"}
_TABLE = "<table>\n<thead><tr>{columns}</tr></thead>\n<tbody>\n"
_COLUMN = '<th scope="col"{sorted}><a href="?sort={order}">{title}</a></th>'
_ROW = (
    '<tr{kind}><td><a href="{link}">{name}</a></td><td>{size}</td>'
    '<td><time datetime="{date}">{day} {minute}</time></td></tr>\n'
)  # fmt: skip
_TOO_MANY = f'<p class="note">More than {SORTED_AT_MOST:,} entries: they are not sorted.</p>\n'


class Entry(NamedTuple):
    name: bytes
    collection: bool
    size: int
    changed: int


_KEYS: dict[str, Callable[[Entry], tuple[object, ...]]] = {
    "name": lambda entry: (entry.name.lower(), entry.name),
    "size": lambda entry: (entry.size, entry.name),
    "changed": lambda entry: (entry.changed, entry.name),
}


def page(area: Area, path: bytes, directory: int, *, slash: bool = True, order: str = "") -> Iterator[bytes]:
    """In pieces; owns the directory's descriptor. `slash`: the URL ends in one, so that links are relative to it. One of LISTING_ORDERS."""
    try:
        order = order if order in LISTING_ORDERS else "name"
        with os.scandir(directory) as members:
            first = list(itertools.islice(members, SORTED_AT_MOST + 1))
            whole = len(first) <= SORTED_AT_MOST
            yield (_top(area, path) + ("" if whole else _TOO_MANY) + _TABLE.format(columns=_columns(order if whole else ""))).encode()
            if len(first) > _ROWS_A_PIECE:
                yield b""  # so that a browser has something to do while the members are looked at
            found = _entries(area, path, itertools.chain(first, members))
            del first
            yield from _rows(iter(_sorted(list(found), order)) if whole else found, "./" if slash else _last_segment(area, path) + "/")
    finally:
        os.close(directory)


def _rows(entries: Iterator[Entry], base: str) -> Iterator[bytes]:
    collections = files = size = 0
    while piece := list(itertools.islice(entries, _ROWS_A_PIECE)):
        yield "".join(_row(entry, base) for entry in piece).encode()
        inside = sum(entry.collection for entry in piece)
        collections, files, size = collections + inside, files + len(piece) - inside, size + sum(entry.size for entry in piece)
    summary = f"{_count(collections, 'folder')}, {_count(files, 'file')}, {readable(size)}"
    yield ("</tbody>\n</table>\n" + frame.tail(summary if collections + files else "This folder is empty.")).encode()


def _top(area: Area, path: bytes) -> str:
    """Title, and the way up: the areas, this area, the collections in between."""
    own = unquote_to_bytes(area.settings.path)
    names = [own.strip(b"/") or b"/", *(path.split(b"/") if path else [])]
    depths = range(len(names) - 1)
    between = [Step(names[depth], href(area.settings.path, b"/".join(names[1 : depth + 1]), True)) for depth in depths]
    above = [Step(b"Storage areas", "/"), *between] if own != b"/" else between
    return frame.head(own.rstrip(b"/") + b"/" + path, names[-1], above)


def _last_segment(area: Area, path: bytes) -> str:
    return escaped(path.rpartition(b"/")[2] or unquote_to_bytes(area.settings.path).rpartition(b"/")[2])


# --- members


def _entries(area: Area, path: bytes, members: Iterator[os.DirEntry[str]]) -> Iterator[Entry]:
    for member in members:
        name = os.fsencode(member.name)
        if is_hidden(name):
            continue
        try:
            status = area.status(path + b"/" + name if path else name) if member.is_symlink() else member.stat(follow_symlinks=False)
        except (OSError, Refusal):  # gone meanwhile, or not ours to see
            continue
        collection = is_collection(status)
        if collection or is_file(status):
            yield Entry(name, collection, 0 if collection else status.st_size, int(status.st_mtime))


def _sorted(entries: list[Entry], order: str) -> list[Entry]:
    """Folders first, whatever the order."""
    entries.sort(key=_KEYS[order.lstrip("-")], reverse=order.startswith("-"))
    entries.sort(key=lambda entry: not entry.collection)
    return entries


# --- as text


def _columns(order: str) -> str:
    return "".join(_column(name, title, order) for name, title in _COLUMNS.items())


def _column(name: str, title: str, order: str) -> str:
    """A second click turns the order round."""
    state = {name: "ascending", "-" + name: "descending"}.get(order, "")
    turned = "-" + name if order == name else name
    return _COLUMN.format(sorted=f' aria-sort="{state}"' if state else "", order=turned, title=title)


def _row(entry: Entry, base: str) -> str:
    slash = "/" if entry.collection else ""
    date = iso_date(entry.changed)
    return _ROW.format(
        kind=' class="collection"' if entry.collection else "",
        link=base + html.escape(escaped(entry.name)) + slash,
        name=(entry.name.decode() if PLAIN(entry.name) else frame.shown(entry.name)) + slash,
        size="" if entry.collection else f'<data value="{entry.size}" title="{entry.size:,} bytes">{readable(entry.size)}</data>',
        date=date,
        day=date[:10],
        minute=date[11:16],
    )


def readable(size: int) -> str:
    """1 kB is 1000 bytes, as quotas and invoices have it."""
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in _UNITS:
        amount /= 1000
        if amount < 999.5 or unit == _UNITS[-1]:
            break
    return f"{amount:.1f} {unit}" if amount < 99.95 else f"{amount:.0f} {unit}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
