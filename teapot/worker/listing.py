"""A collection as a small HTML page for people: names, sizes, dates. Everything in it is escaped, nothing in it is executed."""

import html
import os
from collections.abc import Iterator

from teapot.worker.area import Area
from teapot.worker.hrefs import escaped, href
from teapot.worker.http_dates import iso_date
from teapot.worker.journal import is_hidden

POLICY = b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_ROWS_A_PIECE = 200

_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 system-ui,sans-serif;margin:2rem}}
td,th{{padding:.1rem 1rem .1rem 0;text-align:left}}td+td{{text-align:right;font-variant-numeric:tabular-nums}}</style></head>
<body><h1>{title}</h1><table><tr><th>Name</th><th>Bytes</th><th>Changed (UTC)</th></tr>
"""
_ROW = '<tr><td><a href="{link}">{name}</a></td><td>{size}</td><td>{date}</td></tr>\n'


def page(area: Area, path: bytes, directory: int) -> Iterator[bytes]:
    """In pieces; owns the directory's descriptor."""
    try:
        here = href(area.settings.path, path, True)
        yield _HEAD.format(title=_shown(os.fsencode(here))).encode()
        rows = [_ROW.format(link="../", name="..", size="", date="")]
        with os.scandir(directory) as members:
            for member in members:
                rows.append(_row(member))
                if len(rows) >= _ROWS_A_PIECE:
                    yield "".join(rows).encode()
                    rows = []
        yield ("".join(rows) + "</table></body></html>\n").encode()
    finally:
        os.close(directory)


def _row(member: os.DirEntry[str]) -> str:
    name = os.fsencode(member.name)
    if is_hidden(name):
        return ""
    try:
        status = member.stat(follow_symlinks=False)
    except OSError:  # gone meanwhile, or not ours to see
        return ""
    slash = "/" if member.is_dir(follow_symlinks=False) else ""
    link = html.escape("./" + escaped(name)) + slash
    return _ROW.format(link=link, name=_shown(name) + slash, size="" if slash else status.st_size, date=iso_date(int(status.st_mtime)))


def _shown(name: bytes) -> str:
    return html.escape("".join(c if c.isprintable() else "�" for c in name.decode("utf-8", "replace")))
