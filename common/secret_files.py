"""Secrets from files: what every `*_file` key of a configuration names. A secret that other accounts can read is refused, not warned of."""

import os
import stat
from pathlib import Path

from common.configuration import BadConfiguration

_CREDENTIAL = "credential:"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MAX_BYTES = 1 << 16


def secret(value: str, key: str) -> str:
    """The content of the file, or of `credential:NAME` (systemd's LoadCredential=), without white space around it.

    `key` names the setting in complaints. BadConfiguration when it cannot be read, is empty, or lies open to others.
    """
    path, allowed = (_credential(value, key), stat.S_IRGRP) if value.startswith(_CREDENTIAL) else (Path(value), 0)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO there must not hold us up
        try:
            _refuse_open(key, path, os.fstat(descriptor), allowed)
            content = os.read(descriptor, _MAX_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as failed:
        raise BadConfiguration(f"{key}: {path} cannot be read: {failed.strerror}") from failed
    return _text(content, key, path)


def secret_path(value: str, key: str) -> Path:
    """Of a file that a library reads itself. BadConfiguration when it is a credential that was not handed over."""
    return _credential(value, key) if value.startswith(_CREDENTIAL) else Path(value)


def _refuse_open(key: str, path: Path, status: os.stat_result, allowed: int) -> None:
    """`allowed`: where systemd grants a service account access by an ACL, the ACL's mask shows as a right of the group."""
    if not stat.S_ISREG(status.st_mode):
        raise BadConfiguration(f"{key}: {path} is not a regular file")
    if status.st_uid not in (0, os.geteuid()):
        raise BadConfiguration(f"{key}: {path} belongs to another account, uid {status.st_uid}: chown it to root or to ours")
    if status.st_mode & _OTHERS & ~allowed:
        raise BadConfiguration(f"{key}: others can read or change {path}: chmod 600 it")


def _text(content: bytes, key: str, path: Path) -> str:
    if len(content) > _MAX_BYTES:
        raise BadConfiguration(f"{key}: {path} is longer than {_MAX_BYTES} bytes: is it the right file?")
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise BadConfiguration(f"{key}: {path} is not text") from None
    if not text:
        raise BadConfiguration(f"{key}: {path} is empty")
    return text


def _credential(value: str, key: str) -> Path:
    name, folder = value.removeprefix(_CREDENTIAL), os.environ.get("CREDENTIALS_DIRECTORY")
    if not name or "/" in name or name in (".", ".."):
        raise BadConfiguration(f"{key}: {value} must be credential:NAME, as in the unit's LoadCredential=NAME:PATH")
    if not folder:
        raise BadConfiguration(f"{key}: {value}: systemd has handed over no credentials: put LoadCredential={name}:PATH into the unit")
    return Path(folder) / name
