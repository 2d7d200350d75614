"""A folder below teapot/ is a trust domain: who may import what is part of the design, and stays so."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import teapot

ROOT = Path(teapot.__file__).parent
DOMAINS = ("master", "gateway", "authority", "spawner", "worker", "observer", "reports")
_OURS = ("channel", "kernel", "pages", "space", "configuration", "accounts", "entitlements")
SHARED = (*(f"teapot.{name}" for name in _OURS), "common")

# The spawner forks workers, so what they are is loaded before: its one exception. The master reads the configuration like the command does.
EXCEPTIONS = {("spawner", "teapot.worker"), ("master", "teapot.command_line")}

FILES = [(domain, path) for domain in DOMAINS for path in sorted((ROOT / domain).glob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize(("domain", "path"), FILES, ids=[f"{domain}/{path.name}" for domain, path in FILES])
def test_a_domain_imports_only_itself_and_what_crosses_domains(domain: str, path: Path) -> None:
    allowed = [f"teapot.{domain}", "teapot.__version__", *SHARED, *(name for who, name in EXCEPTIONS if who == domain)]
    ours = [name for name in imported(path) if within(name, "teapot") and name != "teapot"]
    assert [name for name in ours if not any(within(name, package) for package in allowed)] == []


@pytest.mark.parametrize("package", ["channel", "kernel", "pages", "space"])
def test_what_crosses_domains_imports_no_domain(package: str) -> None:
    for path in (ROOT / package).glob("*.py"):
        names = [name for name in imported(path) if any(within(name, f"teapot.{domain}") for domain in DOMAINS)]
        assert names == [], path


def test_the_spawner_uses_the_standard_library_and_its_pinned_list_only() -> None:
    pinned = {"msgspec", "setproctitle", "teapot", "common", "wsgidav", "google_crc32c"}
    import sys

    for path in [*(ROOT / "spawner").glob("*.py"), *(ROOT / "worker").glob("*.py"), *(ROOT / "kernel").glob("*.py")]:
        foreign = {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names) - pinned
        assert foreign == set(), path
