"""What tables about space may not say: `space` of a storage area or a share, [[share]], [reports]. Pure."""

import os
import re
from collections.abc import Iterator

from common import configuration_forms as forms
from common.configuration_types import Complaint
from teapot.configuration import Configuration, Share, Space, StorageArea
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


def report_complaints(configuration: Configuration) -> Iterator[Complaint]:
    for number, share in enumerate(configuration.share):
        yield from _share(f"share[{number}]", share, configuration.share[:number])
    if configuration.reports.address and (wrong := _why_not_address(configuration)):
        yield Complaint("reports.address", wrong)


def _share(key: str, share: Share, before: tuple[Share, ...]) -> Iterator[Complaint]:
    if share.name in [one.name for one in before]:
        yield Complaint(f"{key}.name", f"{share.name} is the name of another share as well: choose a new one")
    if wrong := forms.why_not_absolute(share.root):
        yield Complaint(f"{key}.root", wrong)
    yield from forms.each(f"{key}.paths", share.paths, forms.why_not_url_path)
    yield from space_complaints(f"{key}.space", share.space)


def report_file(configuration: Configuration) -> str:
    """Where the storage area of reports.address has it; "": nowhere."""
    address = forms.segments(configuration.reports.address)
    area = _area(configuration, address)
    if not configuration.reports.address or area is None:
        return ""
    return "/".join((area.root.rstrip("/"), *map(os.fsdecode, address[len(forms.segments(area.path)) :])))


def _area(configuration: Configuration, address: tuple[bytes, ...]) -> StorageArea | None:
    """The longest path that fits, by segments."""
    fitting = [(forms.segments(area.path), area) for area in configuration.storage_area]
    fitting = [(path, area) for path, area in fitting if path == address[: len(path)] and len(path) < len(address)]
    return max(fitting, key=lambda one: len(one[0]))[1] if fitting else None


def _why_not_address(configuration: Configuration) -> str | None:
    address = configuration.reports.address
    if wrong := forms.why_not_url_path(address):
        return wrong
    area = _area(configuration, forms.segments(address))
    if area is None:
        return f"{address} is in no storage area: add one with anonymous_account, in which the report is a file"
    if not area.anonymous_account:
        return f"{address} is in the area {area.name}, which has no anonymous_account: nobody could read the report without a token"
    if "{" in area.root:
        return f"{address} is in the area {area.name}, whose root is another one for each account"
    return None
