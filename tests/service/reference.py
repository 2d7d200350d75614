"""What a configuration reference must say: the keys of the types, and how a page of docs/ names them."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from common.configuration_types import described, entry_type, table_type

DOCS = Path(__file__).parents[2] / "docs"
ROW = re.compile(r"^\| `([a-z0-9_.\[\]]+)` \| ([^|]+) \| (`[^|]*`|required) \| [^|]+ \| `([^|]+)` \|$", re.MULTILINE)
_TOML = re.compile(r"^( *)```toml\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def examples(page: Path) -> list[str]:
    """Its complete configurations."""
    return [text.replace(f"\n{indent}", "\n").strip() for indent, text in _TOML.findall(page.read_text())]


class Key(NamedTuple):
    takes: str
    default: str


def keys(table: type[msgspec.Struct], prefix: str = "") -> dict[str, tuple[Any, Key]]:
    found: dict[str, tuple[Any, Key]] = {}
    for field in msgspec.structs.fields(table):
        if below := table_type(field.type):
            found |= keys(below, f"{prefix}{field.name}.")
        elif below := table_type(entry_type(field.type)):
            found |= keys(below, f"{prefix}{field.name}[].")
        else:
            default = "required" if field.required else f"`{json.dumps(msgspec.to_builtins(field.default))}`"
            found[prefix + field.name] = field.type, Key(described(field.type), default)
    return found
