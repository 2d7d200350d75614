"""Reads a service's configuration: one TOML file and conf.d/*.toml beside it, merged, checked, and made into frozen types.

A key given twice is an error; tables in an array ([[issuer]]) add up over the files. All complaints are collected, and each names the
file, the key as it stands in that file, the reason and what to do. Nothing is clamped or passed over. Knows no service: the types say
what may be set.
"""

import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from common.configuration_types import Complaint, NotOffered, convert

T = TypeVar("T")
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_LAST_STEP = re.compile(r"(\.[^.\[]+|\[\d+\]|^[^.\[]+)$")


class BadConfiguration(Exception):
    """Each argument is one complaint."""

    @property
    def complaints(self) -> tuple[str, ...]:
        return self.args


class Origin(NamedTuple):
    file: Path
    key: str  # as in that file: the second file's issuer[0] may be issuer[1] of the whole; "": the file itself

    def __str__(self) -> str:
        return f"{self.file}: {self.key}" if self.key else str(self.file)


Origins = dict[str, Origin]  # by the key of the whole, as in "server.listen" or "issuer[0].url"; tables have one as well


class Loaded(NamedTuple, Generic[T]):
    value: T
    files: tuple[Path, ...]
    origins: Origins

    def refuse(self, complaints: Iterable[Complaint]) -> None:
        """BadConfiguration, when there are any."""
        _refuse(complaints, self.origins, self.files[0])


def load(path: Path, kind: type[T], not_offered: NotOffered | None = None) -> Loaded[T]:
    """BadConfiguration when a file cannot be read or says something that the type does not allow."""
    files = _files(path)
    merged = _merged(files)
    value, complaints = convert(merged.values, kind, not_offered or {})
    _refuse(complaints, merged.origins, path)
    assert value is not None
    return Loaded(value, files, merged.origins)


def _files(path: Path) -> tuple[Path, ...]:
    """Sorted by name. An editor's hidden files are passed over; a folder that cannot be listed is not."""
    folder = path.parent / "conf.d"
    _refuse_open(path.parent, os.stat(path.parent) if path.parent.exists() else None)
    try:
        names = sorted(os.listdir(folder))
        _refuse_open(folder, os.stat(folder))
    except FileNotFoundError:
        names = []
    except OSError as failed:
        raise BadConfiguration(f"{folder}: cannot be listed: {failed.strerror}") from failed
    return (path, *(folder / name for name in names if name.endswith(".toml") and not name.startswith(".")))


class _Merged:
    """What the files say together, and where each key of it stands."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: Origins = {}
        self.complaints: list[str] = []

    def add_table(self, into: dict[str, Any], new: Mapping[str, Any], name: str, place: Origin) -> None:
        for key, value in new.items():
            self._add(into, key, value, _below(name, key), Origin(place.file, _below(place.key, key)))

    def _add(self, into: dict[str, Any], key: str, value: Any, name: str, place: Origin) -> None:
        first = self.origins.setdefault(name, place)
        there = into.get(key)
        if isinstance(value, dict) and (first is place or isinstance(there, dict)):
            self.add_table(into.setdefault(key, {}), value, name, place)
        elif _are_tables(value) and (first is place or _are_tables(there)):
            self._extend(into.setdefault(key, []), value, name, place)
        elif first is place:
            into[key] = value
        else:
            self.complaints.append(f"{place}: is set already in {first.file}: keep one of the two")

    def _extend(self, tables: list[Any], new: list[Any], name: str, place: Origin) -> None:
        for number, table in enumerate(new):
            entry, stands = f"{name}[{len(tables)}]", Origin(place.file, f"{place.key}[{number}]")
            self.origins[entry] = stands
            tables.append({})
            self.add_table(tables[-1], table, entry, stands)


def _merged(files: Iterable[Path]) -> _Merged:
    merged = _Merged()
    for file in files:
        try:
            merged.add_table(merged.values, _parse(file), "", Origin(file, ""))
        except BadConfiguration as bad:
            merged.complaints += bad.complaints
    if merged.complaints:
        raise BadConfiguration(*merged.complaints)
    return merged


def _parse(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            _refuse_open(file, os.fstat(opened.fileno()))
            return tomllib.load(opened)
    except OSError as failed:
        raise BadConfiguration(f"{file}: cannot be read: {failed.strerror}") from failed
    except UnicodeDecodeError as wrong:
        raise BadConfiguration(f"{file}: not TOML: byte {wrong.start} is not UTF-8") from wrong
    except tomllib.TOMLDecodeError as wrong:
        raise BadConfiguration(f"{file}{_toml_reason(str(wrong))}") from wrong


def _refuse_open(path: Path, status: os.stat_result | None) -> None:
    """Whoever can change what root reads here says as whom people are served. A folder may be as /tmp is: what lies in it has its owner."""
    if os.geteuid() != 0 or status is None:
        return
    if status.st_uid != 0:
        raise BadConfiguration(f"{path}: belongs to another account, uid {status.st_uid}, and is read as root: chown it to root")
    sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not sticky:
        raise BadConfiguration(f"{path}: others can change it, and it is read as root: chmod go-w it")


def _toml_reason(message: str) -> str:
    """tomllib ends in "(at line 3, column 7)"; an admin's editor jumps to FILE:3."""
    place = _TOML_PLACE.search(message)
    line = f":{place[1]}" if place and place[1] else ""
    reason = message[: place.start()] if place else message
    twice = ": it is given twice in this file" if reason.startswith("Cannot ") else ""
    return f"{line}: not TOML: {reason}{twice}" + ("" if line else " (at the end of the file)")


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _below(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _refuse(complaints: Iterable[Complaint], origins: Origins, path: Path) -> None:
    texts = [f"{_origin(complaint.key, origins, path)}: {complaint.reason}" for complaint in complaints]
    if texts:
        raise BadConfiguration(*texts)


def _origin(key: str, origins: Origins, path: Path) -> Origin:
    """Of a key, or of one that is missing: then of the nearest table above it."""
    above, rest = key, ""
    while above and above not in origins:
        step = _LAST_STEP.search(above)
        above, rest = (above[: step.start()], step[0] + rest) if step else ("", above + rest)
    stands = origins.get(above, Origin(path, ""))
    return Origin(stands.file, f"{stands.key}{rest}".lstrip("."))
