"""Where a storage area begins for one account: {user}, {home} and {group} of the configuration resolved, the root opened as the account.

A placeholder is a name of the site's directory and may neither be empty nor bring segments of its own along. What the resolved path
leads through, symbolic links included, is the administrator's and the account's business: it is opened with the account's rights only.
"""

import errno
import grp
import os
import re

from teapot.accounts import Account
from teapot.configuration import StorageArea
from teapot.worker.refusal import Refusal

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_DOTS = (".", "..")


def open_root(area: StorageArea, account: Account) -> int:
    """A descriptor that names everything below and grants nothing (O_PATH: the root need not be readable)."""
    root = resolve(area.root, account)
    try:
        if area.create_root:
            _make(root, int(area.umask, 8))
        return os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
        raise Refusal("area_root_missing" if missing else "area_root_refused", str(error)) from error


def group(area: StorageArea, account: Account) -> int:
    """Of files that are made in the area; -1: as the kernel says. Whoever is not of that group is not served there."""
    if not area.group:
        return -1
    try:
        number = grp.getgrnam(area.group).gr_gid
    except KeyError:
        raise Refusal("area_root_refused", f"there is no group {area.group}") from None
    if number not in (account.gid, *account.groups):
        raise Refusal("area_root_refused", f"{account.name} is not of the group {area.group}")
    return number


def resolve(template: str, account: Account) -> str:
    """In one pass: what a placeholder stands for is never searched for placeholders."""
    return _PLACEHOLDER.sub(lambda match: _value(match[0], account), template)


def _value(placeholder: str, account: Account) -> str:
    value = {"{user}": lambda: account.name, "{home}": lambda: account.home, "{group}": lambda: _group_name(account.gid)}.get(placeholder)
    found = value() if value else ""
    fits = _is_home(found) if placeholder == "{home}" else bool(found) and "/" not in found and found not in _DOTS
    if not fits or "\0" in found:
        raise Refusal("area_root_refused", f"{placeholder} resolves to {found!r}")
    return found


def _is_home(path: str) -> bool:
    return path.startswith("/") and path.strip("/") != "" and not any(segment in _DOTS for segment in path.split("/"))


def _make(root: str, umask: int) -> None:
    before = os.umask(umask)
    try:
        os.makedirs(root, exist_ok=True)
    finally:
        os.umask(before)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""
