"""teapot serve | check [--effective] | demo | --version: the names that people's scripts rely on."""

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

import teapot
from common.configuration import BadConfiguration, Loaded, load
from teapot.configuration import Configuration
from teapot.configuration_rules import complaints

BAD_CONFIGURATION = 78  # EX_CONFIG
_DEFAULT = Path("/etc/teapot/teapot.toml")


def main(arguments: list[str] | None = None) -> int:
    parsed = _parser().parse_args(arguments)
    if parsed.command == "demo":
        from teapot.demo import run

        return int(run.main(parsed.rest))
    try:
        loaded = read(parsed.config)
    except BadConfiguration as bad:
        for complaint in bad.complaints:
            print(f"teapot: {complaint}", file=sys.stderr)
        return BAD_CONFIGURATION
    return _check(loaded, parsed.effective) if parsed.command == "check" else _serve(loaded, parsed.config)


def read(path: Path) -> Loaded[Configuration]:
    """BadConfiguration with all complaints there are."""
    loaded = load(path, Configuration)
    found = complaints(loaded.value)
    if found:
        raise BadConfiguration(*(f"{path}: {complaint}" for complaint in found))
    return loaded


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="teapot", description="One HTTPS/WebDAV door to a site's storage.")
    parser.add_argument("--version", action="version", version=f"teapot {teapot.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("serve", "serve until SIGTERM"), ("check", "say whether the configuration can be served")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--config", type=Path, default=_DEFAULT, metavar="FILE")
        command.add_argument(
            "--effective", action="store_true", help=argparse.SUPPRESS if name == "serve" else "print every value and its origin"
        )
    demo = commands.add_parser("demo", help="the main job on this machine, with an issuer of its own; needs no root")
    demo.add_argument("rest", nargs=argparse.REMAINDER)
    return parser


def _serve(loaded: Loaded[Configuration], path: Path) -> int:
    from teapot.master import serve

    return serve.main(loaded.value, loaded.files, path.resolve())


def _check(loaded: Loaded[Configuration], effective: bool) -> int:
    if effective:
        for key, value in _values(msgspec.to_builtins(loaded.value), ""):
            print(f"{key} = {msgspec.json.encode(value).decode()}    # {loaded.origins.get(key, 'default')}")
    else:
        print(f"ok: {', '.join(map(str, loaded.files))}")
    return 0


def _values(value: Any, key: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [entry for name, below in value.items() for entry in _values(below, f"{key}.{name}" if key else name)]
    if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        return [entry for number, below in enumerate(value) for entry in _values(below, f"{key}[{number}]")]
    return [(key, value)]
