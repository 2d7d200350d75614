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
            mode = os.fstat(file.fileno()).st_mode
            if secret and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise CannotServe(f"server.{key}: {path} can be read by others: chmod 600 it")
            return memfd.sealed(f"teapot-{key}", file.read())
    except OSError as failed:
        raise CannotServe(f"server.{key}: cannot read {path}: {failed.strerror}") from failed
