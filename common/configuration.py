"""Reads a service's configuration: one TOML file and conf.d/*.toml beside it, merged, checked, and made into frozen types.

A key given twice is an error; tables in an array ([[issuer]]) add up over the files. Every complaint names the file, the key and what to
do.
Nothing is clamped or ignored. Knows no service: the types say what may be set.
"""

import os
import stat
import tomllib
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")


class BadConfiguration(Exception):
    """Each argument is one complaint."""

    @property
    def complaints(self) -> tuple[str, ...]:
        return self.args


class Loaded(NamedTuple, Generic[T]):
    value: T
    files: tuple[Path, ...]
    origins: dict[str, str]  # key, as in "server.listen" or "issuer[0].url": the file that sets it


def load(path: Path, kind: type[T]) -> Loaded[T]:
    """BadConfiguration when a file cannot be read or says something that the type does not allow."""
    files = (path, *sorted((path.parent / "conf.d").glob("*.toml")))
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for file in files:
        _merge(merged, _parse(file), "", str(file), origins)
    try:
        return Loaded(msgspec.convert(merged, kind), files, origins)
    except msgspec.ValidationError as wrong:
        raise BadConfiguration(_explained(str(wrong), origins, path)) from wrong


def _parse(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            return tomllib.load(opened)
    except OSError as failed:
        raise BadConfiguration(f"{file}: cannot be read: {failed.strerror}") from failed
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise BadConfiguration(f"{file}: not TOML: {wrong}") from wrong


def _merge(into: dict[str, Any], new: dict[str, Any], prefix: str, file: str, origins: dict[str, str]) -> None:
    for key, value in new.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            _merge(_table(into, key, name, file), value, f"{name}.", file, origins)
        elif _is_table_array(value):
            _extend(into, key, value, name, file, origins)
        elif key in into:
            raise BadConfiguration(f"{file}: {name} is set already, in {origins.get(name, 'another file')}: keep one of the two")
        else:
            into[key] = value
            origins[name] = file


def _table(into: dict[str, Any], key: str, name: str, file: str) -> dict[str, Any]:
    table = into.setdefault(key, {})
    if not isinstance(table, dict):
        raise BadConfiguration(f"{file}: {name} is a table here and something else in another file")
    return table


def _extend(into: dict[str, Any], key: str, value: list[Any], name: str, file: str, origins: dict[str, str]) -> None:
    tables = into.setdefault(key, [])
    if not isinstance(tables, list):
        raise BadConfiguration(f"{file}: {name} is an array of tables here and something else in another file")
    for table in value:
        merged: dict[str, Any] = {}
        _merge(merged, table, f"{name}[{len(tables)}].", file, origins)
        tables.append(merged)


def _is_table_array(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _explained(message: str, origins: dict[str, str], path: Path) -> str:
    """msgspec says "reason - at `$.server.listen`"; we say where that is."""
    reason, _, place = message.partition(" - at `$")
    key = place.rstrip("`").lstrip(".")
    file = next((origin for name, origin in origins.items() if name == key or name.startswith((f"{key}.", f"{key}["))), str(path))
    if reason.startswith("Object contains unknown field"):
        unknown = reason.split("`")[1]
        name = f"{key}.{unknown}" if key else unknown
        file = next((origin for known, origin in origins.items() if known == name or known.startswith((f"{name}.", f"{name}["))), file)
        return f"{file}: {name}: no such key: see the configuration reference"
    if reason.startswith("Object missing required field"):
        missing = reason.split("`")[1]
        return f"{file}: {f'{key}.{missing}' if key else missing} is missing: it has no default"
    return f"{file}: {key or 'the file'}: {reason}"


def secret(value: str) -> str:
    """The content of a secret file, or of `credential:NAME`, which systemd hands over; one that others can read is refused."""
    path = _credential(value) if value.startswith("credential:") else Path(value)
    try:
        with path.open() as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise BadConfiguration(f"{path}: others can read this secret: chmod 600 it")
            return file.read().strip()
    except OSError as failed:
        raise BadConfiguration(f"{path}: cannot be read: {failed.strerror}") from failed


def _credential(value: str) -> Path:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise BadConfiguration(f"{value}: systemd has handed over no credentials (LoadCredential=)")
    return Path(folder) / value.removeprefix("credential:")
