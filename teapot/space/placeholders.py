"""What stands for the placeholders of a site's command: one account, one directory. Asks NSS for a group, and /proc for the mount."""

import contextlib
import grp
from collections.abc import Mapping

from teapot.accounts import Account
from teapot.space import mounts


def values(account: Account, root: str, descriptor: int, group: str = "") -> Mapping[str, str]:
    """`descriptor` is of `root`. What cannot be told is left out: a command that needs it is not run."""
    found = {"{user}": account.name, "{uid}": str(account.uid), "{gid}": str(account.gid), "{root}": root}
    with contextlib.suppress(KeyError):
        found["{group}"] = group or grp.getgrgid(account.gid).gr_name
    mount = mounts.of(descriptor)
    if mount:
        found |= {"{mount}": mount.mount, "{device}": mount.device}
    return found
