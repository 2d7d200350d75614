"""As whom each process runs: the four service accounts when started as root, or the very account that started us."""

import os
import pwd
import sys
from collections.abc import Callable
from typing import NamedTuple

import msgspec

import teapot
from teapot.configuration import Server
from teapot.kernel import credentials, pam


class CannotServe(Exception):
    """The service is not started; the text says what to do."""


class Identity(NamedTuple):
    name: str
    uid: int
    gid: int


class Identities(NamedTuple):
    single_account: str  # "" as root
    of_role: dict[str, Identity]


def identities(server: Server) -> Identities:
    if os.getuid() != 0:
        own = pwd.getpwuid(os.getuid())
        identity = Identity(own.pw_name, own.pw_uid, os.getgid())
        return Identities(own.pw_name, dict.fromkeys(("gateway", "authority", "observer", "spawner"), identity))
    accounts = {
        "gateway": server.account,
        "authority": server.authority_account,
        "observer": server.observer_account,
        "spawner": server.spawner_account,
    }
    found = {role: _service_account(name, role) for role, name in accounts.items()}
    if len({identity.uid for identity in found.values()}) != len(found):
        raise CannotServe("the gateway, authority, observer and spawner accounts must be four different ones")
    return Identities("", found)


def _service_account(name: str, role: str) -> Identity:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise CannotServe(
            f"the account {name} for the {role} does not exist: create it with "
            f"'useradd --system --no-create-home --shell /usr/sbin/nologin {name}' or systemd-sysusers"
        ) from None
    if entry.pw_uid == 0 or entry.pw_gid == 0:
        raise CannotServe(f"the account {name} for the {role} must not be root's uid or group")
    return Identity(name, entry.pw_uid, entry.pw_gid)


def refuse_missing_pam_service(service: str) -> None:
    """Nobody could be served; libpam itself would take the rules of "other" for it."""
    if service and not pam.service_file(service):
        raise CannotServe(f"accounts.pam_service: there is no /etc/pam.d/{service}")


def refuse_unreadable_software(found: Identities) -> None:
    """An interpreter or a package below somebody's private home cannot be executed by the service accounts: say so by name."""
    if found.single_account:
        return
    paths = [
        os.path.realpath(sys.executable),
        sys.executable,
        os.path.dirname(teapot.__file__),
        os.path.dirname(msgspec.__file__),
    ]
    for identity in found.of_role.values():
        hindrance = _asked_as(identity, lambda: _first_unreadable(paths))
        if hindrance:
            raise CannotServe(
                f"the account {identity.name} cannot read {hindrance}: install Teapot and its Python where every account can read them"
            )


def _first_unreadable(paths: list[str]) -> str:
    for path in paths:
        parts = path.split("/")
        for end in range(2, len(parts) + 1):
            step = "/".join(parts[:end])
            if not os.access(step, os.R_OK | os.X_OK if end == len(parts) else os.X_OK):
                return step
    return ""


def _asked_as(identity: Identity, question: Callable[[], str]) -> str:
    """The answer of a child process that has become this account."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            credentials.become_service(identity.uid, identity.gid)
            os.write(writing, question().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return text
