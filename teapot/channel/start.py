"""How the master starts a process and introduces it to the others.

A process is executed as `python -I -m teapot.ROLE FD`; FD is a sealed memfd that holds its Start. Its `master` descriptor is a
SOCK_SEQPACKET socket on which the master only ever sends: a Peer with the descriptor of a socket to another process, whenever
that process is started anew. End of file there means that the master is gone: finish or abort within a bound, and leave.
SIGTERM means: take nothing new, finish what is open within `shutdown_timeout_s`, leave.
"""

import os
from typing import TypeVar

import msgspec

from teapot.configuration import (
    Accounts,
    Ban,
    Issuer,
    Mapping,
    Outbound,
    Rule,
    Server,
    StorageArea,
    Trust,
    Worker,
)
from teapot.kernel import memfd


class Peer(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """Carries one end of a SOCK_SEQPACKET pair; whoever had the same role and number before is gone or leaving."""

    role: str  # gateway | authority | spawner | observer
    number: int  # which gateway; never used again while the service runs


class Renew(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """To the spawner only; carries a new SpawnerStart: execute yourself anew with it, keeping pid, workers, rows and sockets."""


FromMaster = Peer | Renew


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What every process is told."""

    number: int
    master: int  # descriptor
    account: str  # as which it runs, for its process title
    log_level: str


class SpawnerStart(Start, frozen=True, kw_only=True):
    accounts: Accounts
    areas: tuple[StorageArea, ...]
    worker: Worker
    single_account: str  # "" unless started as an ordinary user: then the only account that is served


class AuthoritySecrets(msgspec.Struct, frozen=True, kw_only=True):
    """Read by the master from files of root, and inherited by nobody else."""

    alise: str = ""  # the API key of [mapping.alise], or the URL of its database
    issuers: dict[str, str] = {}  # client secrets for introspection, by issuer

    def __repr__(self) -> str:
        return "AuthoritySecrets()"


class AuthorityStart(Start, frozen=True, kw_only=True):
    server: Server
    trust: Trust
    outbound: Outbound
    issuers: tuple[Issuer, ...]
    mapping: Mapping
    secrets: int  # memfd with AuthoritySecrets
    accounts: Accounts
    areas: tuple[StorageArea, ...]
    rules: tuple[Rule, ...] = ()
    bans: tuple[Ban, ...] = ()
    single_account: str


class GatewayStart(Start, frozen=True, kw_only=True):
    server: Server
    areas: tuple[StorageArea, ...]
    rules: tuple[Rule, ...] = ()
    listening: tuple[int, ...]  # descriptors
    certificate: int = -1  # memfds; -1: plain HTTP
    key: int = -1
    tape_rest_api: bytes = b""  # the site's document for /.well-known/wlcg-tape-rest-api; b"": none


class ObserverStart(Start, frozen=True, kw_only=True):
    server: Server
    listening: tuple[int, ...]
    gateways: int  # how many there are to be
    notify_socket: str  # systemd's, or ""
    watchdog_s: float = 0.0  # systemd ends the service that has not said for so long that it is alive; 0: no watchdog


S = TypeVar("S", bound=Start)


def write(start: Start) -> int:
    """A sealed memfd with the Start, to be inherited."""
    return memfd.sealed("teapot-start", msgspec.json.encode(start))


def read_secrets(begin: AuthorityStart) -> AuthoritySecrets:
    with os.fdopen(begin.secrets, "rb") as file:
        file.seek(0)
        return msgspec.json.decode(file.read(), type=AuthoritySecrets)


def read(descriptor: int, kind: type[S]) -> S:
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        return msgspec.json.decode(file.read(), type=kind)
