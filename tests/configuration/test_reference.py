"""docs/configure.md names every key with its true default, and none that does not exist."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import msgspec

from teapot.configuration import Configuration, Section

PAGE = Path(__file__).parents[2] / "docs" / "configure.md"
ROW = re.compile(r"^\| `([a-z_.\[\]]+)` \| (`[^|]*`|required|–) \|", re.MULTILINE)


def sections(kind: Any) -> list[type[Section]]:
    kinds = [kind, *get_args(kind)]
    return [one for one in kinds if isinstance(one, type) and issubclass(one, Section)]


def keys(kind: type[Section], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for field in msgspec.structs.fields(kind):
        below = sections(field.type)
        if below:
            array = "tuple" in str(field.type)
            found |= keys(below[0], f"{prefix}{field.name}{'[]' if array else ''}.")
        else:
            found[prefix + field.name] = "required" if field.required else f"`{json.dumps(msgspec.to_builtins(field.default))}`"
    return found


def test_the_reference_names_every_key_with_its_default() -> None:
    assert dict(ROW.findall(PAGE.read_text())) == keys(Configuration)
