"""Writes teapot.toml from plain values, so that a test can say what differs from the usual in one line."""

import json
from pathlib import Path
from typing import Any

Tables = dict[str, Any]


def write(path: Path, tables: Tables) -> Path:
    path.write_text("\n".join(_table((), tables)) + "\n")
    return path


def changed(tables: Tables, changes: Tables) -> Tables:
    """Tables are merged, everything else is replaced; None takes a key away."""
    merged = dict(tables)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = changed(merged[key], value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def _table(path: tuple[str, ...], table: Tables) -> list[str]:
    plain = {key: value for key, value in table.items() if not _is_table(value) and not _is_list_of_tables(value)}
    lines = [f"{key} = {_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        name = ".".join((*path, key))
        if _is_table(value):
            lines += ["", f"[{name}]", *_table((*path, key), value)]
        elif _is_list_of_tables(value):
            for each in value:
                lines += ["", f"[[{name}]]", *_table((*path, key), each)]
    return lines


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _is_list_of_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_table, value))


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(value, ensure_ascii=False)
