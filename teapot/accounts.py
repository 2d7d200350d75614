"""Local accounts: what the directory (NSS: files, SSSD, LDAP) says of a name, and what the site's policy says of the account.

Used by the authority, before it allows anything, and again by each worker to be, in the spawner's forked child. A look-up may hang
when a directory does: callers give it a process or a thread, and a deadline, of its own.
"""

import os
import pwd
import re
from typing import NamedTuple

from msgspec import Struct

from teapot.configuration import Accounts
from teapot.kernel import name_service

# "-1" in 32 and in 16 bits means "do not change" to the kernel's calls.
_NO_IDS = frozenset((0, 0xFFFF, 0xFFFFFFFF))
_NO_SHELLS = frozenset(("nologin", "false"))
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.@+-]{0,127}\$?")


class UnknownAccount(Exception):
    """The directory knows no account of this name, or the name cannot be one."""


class Account(Struct, frozen=True):
    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]  # all of them, the primary one included
    home: str
    shell: str


def is_account_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


class Examined(NamedTuple):
    account: Account
    objection: str  # why it is not served, for the log; "": it may be


def examine(name: str, policy: Accounts) -> Examined:
    """UnknownAccount; OSError when the directory cannot tell, or not of everything: nobody is judged by half of it."""
    if not is_account_name(name):
        raise UnknownAccount(name)
    with name_service.whole():
        account = _look_up(name)
        return Examined(account, _objection(account, policy) or "")


def _look_up(name: str) -> Account:
    entry = name_service.passwd(name)
    if entry is None:
        raise UnknownAccount(name)
    return Account(entry.name, entry.uid, entry.gid, name_service.groups(entry.name, entry.gid), entry.home, entry.shell)


def own() -> Account:
    """The account as which this process runs, with the groups that it really has."""
    entry = pwd.getpwuid(os.getuid())
    groups = tuple(sorted({*os.getgroups(), os.getgid()}))
    return Account(entry.pw_name, entry.pw_uid, os.getgid(), groups, entry.pw_dir, entry.pw_shell)


def _objection(account: Account, policy: Accounts) -> str | None:
    """A member of a denied group is refused, not served with a group less: permissions can take from a group as well as give.
    """
    if account.uid in _NO_IDS or account.uid < policy.minimum_uid:
        return f"uid {account.uid} is below minimum_uid {policy.minimum_uid}"
    if account.gid in _NO_IDS or account.gid < policy.minimum_gid:
        return f"gid {account.gid} is below minimum_gid {policy.minimum_gid}"
    if account.name in policy.denied:
        return "the account is one of accounts.denied"
    if policy.nologin == "refuse" and os.path.basename(account.shell) in _NO_SHELLS:
        return f"its shell {account.shell} refuses a login (accounts.nologin)"
    return _denied_group(account, policy)


def _denied_group(account: Account, policy: Accounts) -> str | None:
    if 0 in account.groups:
        return "it is in group 0"
    for name in policy.denied_groups:
        if name_service.group_id(name) in account.groups:
            return f"it is in group {name} (accounts.denied_groups)"
    return None
