"""The frame of every page: title, the way back up, content, and nothing that could be executed. Pure.

Names come from people and from file systems: whatever they hold, they are shown as text.
"""

import html
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from teapot.pages.style import ICON_ADDRESS, STYLE_ADDRESS

POLICY = b"default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{icon}">
<link rel="stylesheet" href="{style}">
</head>
<body>
<header>
{crumbs}<h1>{heading}</h1>
</header>
<main>
"""
_CRUMBS = '<nav aria-label="Where you are"><ol>{steps}</ol></nav>\n'
_REORDERING = frozenset(("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"))  # make a name look like another one


class Step(NamedTuple):
    """On the way from the top to a page."""

    name: bytes
    address: str


def head(title: bytes, heading: bytes, steps: Iterable[Step]) -> str:
    above = "".join(f'<li><a href="{html.escape(step.address)}">{shown(step.name)}</a></li>' for step in steps)
    crumbs = _CRUMBS.format(steps=above) if above else ""
    return _HEAD.format(title=shown(title), heading=shown(heading), crumbs=crumbs, style=STYLE_ADDRESS, icon=ICON_ADDRESS)


def tail(says: str = "") -> str:
    """`says` in the footer, plain text."""
    return f"</main>\n<footer>{html.escape(says)}</footer>\n</body>\n</html>\n"


def shown(name: bytes) -> str:
    """A name as text: what cannot be read, or would change how the rest reads, is a replacement character."""
    return html.escape("".join(_visible(character) for character in name.decode("utf-8", "replace")))


def _visible(character: str) -> str:
    harmless = character.isprintable() and unicodedata.bidirectional(character) not in _REORDERING
    return character if harmless else "\N{REPLACEMENT CHARACTER}"
