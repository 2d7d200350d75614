"""What a part of ALISE may know of the others."""

import ast
from pathlib import Path

import pytest

import alise

ROOT = Path(alise.__file__).parent
ALLOWED = {
    "login": ("alise.login", "common"),
    "http": ("alise.http", "common"),
    "storage": ("alise.storage", "common"),
    "web": ("alise.web", "alise.login", "alise.storage", "alise.http", "common"),
    "rest": ("alise.rest", "alise.login", "alise.storage", "alise.http", "common"),
    "commands": ("alise.commands", "alise.storage", "alise.configuration", "common"),
}


@pytest.mark.parametrize("folder", ALLOWED)
def test_a_folder_imports_only_what_it_may(folder: str) -> None:
    for path in (ROOT / folder).glob("*.py"):
        imported = [node.module or "" for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        ours = [name for name in imported if name.split(".")[0] in ("alise", "teapot", "common", "tests")]
        assert [name for name in ours if not name.startswith(ALLOWED[folder])] == [], path.name
