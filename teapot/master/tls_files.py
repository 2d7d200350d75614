"""The TLS certificate and key, read as root straight into sealed memfds that only gateways inherit."""

import os
import stat
from typing import NamedTuple

from teapot.configuration import Server
from teapot.kernel import memfd
from teapot.master.service_accounts import CannotServe


class TlsFiles(NamedTuple):
    certificate: int  # descriptors; -1: plain HTTP
    key: int


def read(server: Server) -> TlsFiles:
    if not server.tls_key:
        return TlsFiles(-1, -1)
    return TlsFiles(_sealed("tls_certificate", server.tls_certificate, False), _sealed("tls_key", server.tls_key, True))


def close(files: TlsFiles) -> None:
    for descriptor in files:
        if descriptor >= 0:
            os.close(descriptor)


def _sealed(key: str, path: str, secret: bool) -> int:
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if secret and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise CannotServe(f"server.{key}: {path} can be read by others: chmod 600 it")
            if secret and status.st_uid not in (0, os.geteuid()):
                raise CannotServe(f"server.{key}: {path} belongs to another account, uid {status.st_uid}: chown it to root or to ours")
            return memfd.sealed(f"teapot-{key}", file.read())
    except OSError as failed:
        raise CannotServe(f"server.{key}: cannot read {path}: {failed.strerror}") from failed
