"""docs/configure.md names every key with what it takes, its true default and an example that is accepted, and no other key."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from common.configuration import load
from teapot.configuration import NOT_OFFERED, Configuration, with_defaults
from teapot.configuration_rules import complaints
from tests.service.reference import DOCS, ROW, Key, examples, keys

PAGE = (DOCS / "configure.md").read_text()
TABLE_LINE = re.compile(r"^\| `", re.MULTILINE)
COMPLETE = [text for page in sorted(DOCS.rglob("*.md")) if page.name != "alise.md" for text in examples(page)]


KEYS = keys(Configuration)


def test_the_reference_names_every_key_with_what_it_takes_and_its_default() -> None:
    assert {name: Key(takes, default) for name, takes, default, _ in ROW.findall(PAGE)} == {name: key for name, (_, key) in KEYS.items()}


def test_every_line_of_its_tables_is_understood_and_stands_once() -> None:
    names = [row[0] for row in ROW.findall(PAGE)]
    assert len(names) == len(set(names)) == len(TABLE_LINE.findall(PAGE))


def test_every_example_is_accepted() -> None:
    for name, _, _, example in ROW.findall(PAGE):
        msgspec.convert(tomllib.loads(f"x = {example}")["x"], KEYS[name][0])


@pytest.mark.parametrize("text", COMPLETE)
def test_the_complete_configurations_can_be_served(text: str, tmp_path: Path) -> None:
    (tmp_path / "teapot.toml").write_text(text)
    loaded = load(tmp_path / "teapot.toml", Configuration, NOT_OFFERED)
    assert complaints(with_defaults(loaded.value)) == []


def test_what_is_reserved_is_told_and_is_no_key_of_this_version() -> None:
    reserved = PAGE.partition("## Reserved")[2]
    for name, values in NOT_OFFERED.items():
        assert f"`{name}`" in reserved
        assert [value for value in values if f"`{value}`" not in reserved] == []
        assert (name.removesuffix("[]") in KEYS) == bool(values)
