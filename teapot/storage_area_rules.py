"""What [[storage_area]] may not say. Pure. Nested areas are right: the longest path that fits wins, by segments."""

import re
from collections.abc import Iterator

from common import configuration_forms as forms
from common.configuration_types import Complaint
from teapot.accounts import is_account_name
from teapot.configuration import Configuration, Residency, StorageArea
from teapot.space_rules import space_complaints

_PLACEHOLDER = re.compile(r"\{[^{}]*\}|[{}]")
_KNOWN_PLACEHOLDERS = ("{user}", "{home}", "{group}")
_OWNERS_RIGHTS = 0o700
_ATTRIBUTE = re.compile(r"[a-z]+\.[!-~]{1,250}")
_FOR_ROOT_ONLY = ("trusted.", "security.")


def area_complaints(configuration: Configuration) -> Iterator[Complaint]:
    areas, known = configuration.storage_area, [issuer.url for issuer in configuration.issuer]
    if not areas:
        yield Complaint("storage_area", "is empty: at least one [[storage_area]] is needed, with name, path and root")
    for number, area in enumerate(areas):
        key = f"storage_area[{number}]"
        yield from _repeated(key, area, areas[:number])
        yield from _place(key, area, configuration.accounts.denied_groups)
        yield from _who(key, area, configuration)
        yield from space_complaints(f"{key}.space", area.space)
        if area.residency:
            yield from _residency(f"{key}.residency", area.residency)
        yield from forms.each(f"{key}.issuers", area.issuers, forms.among(known))


def _repeated(key: str, area: StorageArea, before: tuple[StorageArea, ...]) -> Iterator[Complaint]:
    if area.name in [one.name for one in before]:
        yield Complaint(f"{key}.name", f"{area.name} is the name of another area as well: it is for the log, choose a new one")
    taken = [(forms.segments(path), one.name) for one in before for path in (one.path, *one.aliases)]
    for number, path in enumerate((area.path, *area.aliases)):
        place = f"{key}.aliases[{number - 1}]" if number else f"{key}.path"
        other = next((name for segments, name in taken if segments == forms.segments(path)), None)
        if other:
            yield Complaint(place, f"{path} is the path of the area {other} as well: one URL, one directory")
        taken.append((forms.segments(path), area.name))


def _place(key: str, area: StorageArea, denied_groups: tuple[str, ...]) -> Iterator[Complaint]:
    if wrong := _why_not_path(area.path):
        yield Complaint(f"{key}.path", wrong)
    yield from forms.each(f"{key}.aliases", area.aliases, _why_not_path)
    if wrong := _why_not_root(area.root):
        yield Complaint(f"{key}.root", wrong)
    if int(area.umask, 8) & _OWNERS_RIGHTS:
        yield Complaint(f"{key}.umask", f'"{area.umask}" takes rights from the owner of a new file: begin it with 00, as in "0027"')
    if area.directory_mode and int(area.directory_mode, 8) & _OWNERS_RIGHTS != _OWNERS_RIGHTS:
        yield Complaint(f"{key}.directory_mode", f'"{area.directory_mode}" keeps the owner out of a new collection: let 7 be for the owner')
    if area.group and not is_account_name(area.group):
        yield Complaint(f"{key}.group", f"{area.group!r} cannot be the name of a group")
    elif area.group in denied_groups:
        yield Complaint(f"{key}.group", f"{area.group} is in accounts.denied_groups: no worker is of it, so nobody could be served")


def _why_not_path(path: str) -> str | None:
    if wrong := forms.why_not_url_path(path):
        return wrong
    return f"{path!r} holds a placeholder: they are replaced in root only" if _PLACEHOLDER.search(path) else None


def _why_not_root(root: str) -> str | None:
    unknown = [one for one in _PLACEHOLDER.findall(root) if one not in _KNOWN_PLACEHOLDERS]
    if unknown:
        return f"{', '.join(unknown)} is no placeholder: there are {', '.join(_KNOWN_PLACEHOLDERS)}"
    if "{home}" in root[1:] or (root.startswith("{home}") and root[len("{home}") :][:1] not in ("", "/")):
        return f"{root!r}: {{home}} is an absolute path: it can only be the beginning, as in {{home}}/data"
    return (
        forms.why_not_absolute(root.replace("{home}", "/home")) and f"{root!r} must be an absolute path below /, without '.', '..' and '//'"
    )


def _who(key: str, area: StorageArea, configuration: Configuration) -> Iterator[Complaint]:
    server = configuration.server
    ours = (server.account, server.authority_account, server.observer_account, server.spawner_account)
    named = {"account": "" if area.account in ("identity", "vo") else area.account, "anonymous_account": area.anonymous_account}
    for field, account in named.items():
        if not account and (field == "anonymous_account" or area.account):
            continue
        if not is_account_name(account):
            yield Complaint(f"{key}.{field}", f"{account!r} cannot be the name of an account")
        elif account in ours:
            yield Complaint(f"{key}.{field}", f"{account} is an account of Teapot's own processes: files need one of their own")
        elif account in configuration.accounts.denied:
            yield Complaint(f"{key}.{field}", f"{account} is in accounts.denied: nobody could be served")


def _residency(key: str, residency: Residency) -> Iterator[Complaint]:
    given = [name for name in ("attribute", "migrated_attribute", "command") if getattr(residency, name)]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        yield Complaint(key, f"sets {found}: exactly one of attribute, migrated_attribute and command says where a file's content is")
    for name in ("attribute", "migrated_attribute"):
        if wrong := _why_not_attribute(getattr(residency, name)):
            yield Complaint(f"{key}.{name}", wrong)
    if residency.command and (wrong := _why_not_command(residency.command)):
        yield Complaint(f"{key}.command", wrong)
    if residency.answer != "locality" and not residency.command:
        yield Complaint(f"{key}.answer", "is about a command, and there is none")


def _why_not_attribute(name: str) -> str | None:
    if not name:
        return None
    if name.startswith(_FOR_ROOT_ONLY):
        return f"{name}: accounts cannot read it, only root can: let a command say where a file is"
    return None if _ATTRIBUTE.fullmatch(name) else f"{name!r} must be the name of an extended attribute, as in user.hsm.locality"


def _why_not_command(command: tuple[str, ...]) -> str | None:
    if wrong := forms.why_not_absolute(command[0]):
        return wrong
    if list(command[1:]).count("{path}") != 1:
        return "must have one argument that is {path}, which is replaced by the path of the file"
    odd = [one for one in command if one != "{path}" and (_PLACEHOLDER.search(one) or "\0" in one)]
    return f"{odd[0]!r} holds a placeholder that is not known here: there is {{path}}, as an argument of its own" if odd else None
