"""What a table `space` may not say: of a storage area, or of a share in the reports. Pure."""

import re
from collections.abc import Iterator

from common import configuration_forms as forms
from common.configuration_types import Complaint
from teapot.configuration import Space
from teapot.space.formats import COMMANDS, PLACEHOLDERS

_PLACEHOLDER = re.compile(r"\{[^{}]*\}|[{}]")


def space_complaints(key: str, space: Space) -> Iterator[Complaint]:
    if space.source not in COMMANDS:
        if space.command:
            yield Complaint(f"{key}.command", f'is set, but source = "{space.source}" runs none: set source = "command", or take it out')
        return
    if not space.command:
        if not COMMANDS[space.source]:
            yield Complaint(f"{key}.command", "is missing: name the program and its arguments, as in ['/opt/site/bin/space-of', '{user}']")
        return
    program = space.command[0]
    if _PLACEHOLDER.search(program):
        yield Complaint(f"{key}.command[0]", f"{program!r} holds a placeholder: what is run is root's decision alone")
    elif wrong := forms.why_not_absolute(program):
        yield Complaint(f"{key}.command[0]", wrong)
    yield from forms.each(f"{key}.command", space.command, _why_not_word)


def _why_not_word(word: str) -> str | None:
    if "\0" in word:
        return "holds a NUL"
    unknown = [one for one in _PLACEHOLDER.findall(word) if one not in PLACEHOLDERS]
    return f"{', '.join(unknown)} is no placeholder: there are {', '.join(PLACEHOLDERS)}" if unknown else None
