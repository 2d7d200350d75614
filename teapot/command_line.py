"""teapot serve | check [--effective] [--files] | srr [--write] | star | demo | --version: the names that people's scripts rely on.

Exit statuses: 0, 1 when the service cannot be started, 2 for a wrong command line, 78 (EX_CONFIG) for a configuration that is refused.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

import teapot
from common.configuration import BadConfiguration, Loaded, load
from teapot.configuration import NOT_OFFERED, Configuration, with_defaults
from teapot.configuration_rules import complaints, remarks
from teapot.space_rules import report_file

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
        _say(bad.complaints)
        return BAD_CONFIGURATION
    _say(f"note: {remark}" for remark in remarks(loaded.value))
    if parsed.command in ("srr", "star"):
        from teapot.reports import run as reports

        more = {"write": parsed.write} if parsed.command == "srr" else {"period_s": parsed.period_s}
        return reports.main(parsed.command, loaded.value, report_file(loaded.value), **more)
    return _check(loaded, parsed) if parsed.command == "check" else _serve(loaded, parsed.config)


def read(path: Path) -> Loaded[Configuration]:
    """BadConfiguration with all complaints there are."""
    loaded = load(path, Configuration, NOT_OFFERED)
    loaded = loaded._replace(value=with_defaults(loaded.value))
    loaded.refuse(complaints(loaded.value))
    return loaded


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="teapot", description="One HTTPS/WebDAV door to a site's storage.")
    parser.add_argument("--version", action="version", version=f"teapot {teapot.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve until SIGTERM; SIGHUP reloads")
    check = commands.add_parser("check", help="say whether the configuration can be served, and what must be changed")
    srr = commands.add_parser("srr", help="print how full the shares are, as WLCG's SRR 4.2 (not as root)")
    star = commands.add_parser("star", help="print how full the shares are, as StAR records (not as root)")
    for command in (serve, check, srr, star):
        command.add_argument(
            "--config", type=Path, default=_DEFAULT, metavar="FILE", help=f"default: {_DEFAULT}; conf.d/*.toml beside it adds"
        )
    srr.add_argument("--write", action="store_true", help="to the file that is served at reports.address, instead of printing")
    star.add_argument("--period-s", type=int, default=86400, metavar="SECONDS", help="that a record is valid for; default: a day")
    check.add_argument("--files", action="store_true", help="also whether the files that it names can be used (as root)")
    check.add_argument("--effective", action="store_true", help="print every value and where it comes from")
    demo = commands.add_parser("demo", help="the main job on this machine, with an issuer of its own; needs no root")
    demo.add_argument("rest", nargs=argparse.REMAINDER)
    return parser


def _serve(loaded: Loaded[Configuration], path: Path) -> int:
    from teapot.master import serve

    # Absolute, but not resolved: conf.d lies beside the name that was given, not beside what it links to.
    return serve.main(loaded.value, loaded.files, path.absolute())


def _check(loaded: Loaded[Configuration], parsed: argparse.Namespace) -> int:
    configuration = loaded.value
    if parsed.files and not _can_be_read(configuration):
        return 1
    if parsed.effective:
        for line in _effective(loaded):
            print(line)
    else:
        areas = ", ".join(f"{area.name} at {area.path}" for area in configuration.storage_area)
        print(f"ok: {', '.join(map(str, loaded.files))}")
        print(f"{configuration.server.public_url} on {', '.join(configuration.server.listen)}: {areas}")
        print(f"issuers: {', '.join(issuer.url for issuer in configuration.issuer)}")
    return 0


def _can_be_read(configuration: Configuration) -> bool:
    """As the service will: not by looking at modes, but by reading."""
    from teapot.master import authority_secrets, service_accounts, site_programs, tape_document, tls_files

    try:
        tls_files.close(tls_files.read(configuration.server))
        authority_secrets.close(authority_secrets.read(configuration))
        tape_document.read(configuration.server)
        site_programs.refuse_unsafe(configuration.storage_area)
        service_accounts.refuse_missing_pam_service(configuration.accounts.pam_service)
    except service_accounts.CannotServe as wrong:
        _say([str(wrong)])
        return False
    return True


def _effective(loaded: Loaded[Configuration]) -> Iterator[str]:
    """key = value    # FILE: its key in that file, or default"""
    for key, value in _values(msgspec.to_builtins(loaded.value), ""):
        if value is None:
            yield f"# {key} is not set"
        else:
            yield f"{key} = {msgspec.json.encode(value).decode()}    # {loaded.origins.get(key, 'default')}"


def _values(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _values(below, f"{key}.{name}" if key else name)
    elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        for number, below in enumerate(value):
            yield from _values(below, f"{key}[{number}]")
    else:
        yield key, value


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"teapot: {line}", file=sys.stderr)
