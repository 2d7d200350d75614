"""Reload and upgrade are one thing: SIGHUP makes the master execute itself anew, with the software and the configuration as they are now.

It keeps its pid, its listening sockets and its children, and then replaces the children one by one. A configuration that does not
pass `teapot check` (run with the new software) changes nothing.
"""

import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from teapot.channel import start
from teapot.kernel import memfd
from teapot.master import authority_secrets, children, tls_files
from teapot.master.children import Child
from teapot.master.settings import Settings

if TYPE_CHECKING:
    from teapot.master.service import Service

log = logging.getLogger(__name__)

CHECK_S = 30.0
K = TypeVar("K")


class _Kept(msgspec.Struct):
    children: list[tuple[str, int, int, int, int, float, bool]]
    numbers: dict[str, int]
    of_slot: dict[int, dict[str, int]]
    admin: dict[str, int]
    passed: list[int]
    deadlines: dict[int, tuple[float | None, float | None]] = {}


def renew(service: "Service") -> None:
    """Returns only when nothing is renewed, because the configuration is not fit to be served."""
    path = service.settings.path
    if not _is_fit(path):
        return
    log.info("renewing")
    tls_files.close(service.settings.tls)
    authority_secrets.close(service.settings.secrets)
    kept = _keep(service)
    descriptor = memfd.sealed("teapot-master", msgspec.json.encode(kept))
    for one in _descriptors(kept) | {descriptor}:
        os.set_inheritable(one, True)
    os.execv(sys.executable, [sys.executable, "-I", "-m", "teapot.master", str(path), str(descriptor)])


def _is_fit(path: Path) -> bool:
    command = [sys.executable, "-I", "-m", "teapot", "check", "--files", "--config", str(path)]
    try:
        check = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_S, check=False)
    except subprocess.TimeoutExpired:
        log.error("not renewed: 'teapot check' did not end within %d s", CHECK_S)
        return False
    if check.returncode != 0:
        log.error("not renewed, the service goes on as it was: %s", (check.stderr or check.stdout).strip())
    return check.returncode == 0


def take_over(descriptor: int, service: "Service") -> None:
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        kept = msgspec.json.decode(file.read(), type=_Kept)
    for one in _descriptors(kept):
        os.set_inheritable(one, False)
    service.children = {child.pid: child for child in children.decode(kept.children, kept.deadlines)}
    service.numbers.update(kept.numbers)
    service.sockets.of_slot = {slot: _sockets(of_slot) for slot, of_slot in kept.of_slot.items()}
    service.sockets.admin = _sockets(kept.admin)
    service.sockets.passed = list(_sockets(dict(enumerate(kept.passed))).values())


def renew_spawner(spawner: Child, settings: Settings) -> None:
    """It executes itself anew as well; the descriptor of its master socket is the one that it has, whatever is said here."""
    description = start.write(settings.spawner(-1, spawner.number))
    spawner.tell(start.Renew(), description)
    os.close(description)


def _keep(service: "Service") -> _Kept:
    sockets = service.sockets
    return _Kept(
        children=children.encode(service.children.values()),
        numbers=dict(service.numbers),
        of_slot={slot: {address: one.fileno() for address, one in of_slot.items()} for slot, of_slot in sockets.of_slot.items()},
        admin={address: one.fileno() for address, one in sockets.admin.items()},
        passed=[one.fileno() for one in sockets.passed],
        deadlines=children.deadlines(service.children.values()),
    )


def _descriptors(kept: _Kept) -> set[int]:
    listeners = [descriptor for of_slot in kept.of_slot.values() for descriptor in of_slot.values()]
    return {*listeners, *kept.admin.values(), *kept.passed, *(child[4] for child in kept.children)}


def _sockets(descriptors: dict[K, int]) -> dict[K, socket.socket]:
    return {key: socket.socket(fileno=descriptor) for key, descriptor in descriptors.items()}
