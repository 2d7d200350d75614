"""Boots a machine once, with the units installed as a package installs them; the tests judge what its guest program has seen."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import teapot
from teapot.demo.certificates import CertificateAuthority
from tests.service import toml
from tests.systemd import guest
from tests.systemd.machine import Machine

UNITS = Path(__file__).parents[2] / "systemd"
ALICE_UID = 31001


@pytest.fixture(scope="session")
def notes(root: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What was seen, by name (guest.py)."""
    machine = Machine(tmp_path_factory.mktemp("machine"))
    install_units(machine)
    configure(machine)
    program = machine.install_program(Path(guest.__file__))
    said = machine.run(f"{sys.executable} {program}", software())
    path = machine.results / "notes.json"
    assert path.exists(), said
    yield {**json.loads(path.read_text()), "said": said}


def software() -> list[Path]:
    """The environment and, where they lie outside it, Teapot and the libraries."""
    needed = {Path(sys.prefix), Path(teapot.__file__).parents[1], Path(pytest.__file__).parents[1]}
    return [path for path in sorted(needed) if not any(path != other and path.is_relative_to(other) for other in needed)]


def install_units(machine: Machine) -> None:
    for name, target in (
        ("teapot.service", "lib/systemd/system/teapot.service"),
        ("teapot@.service", "lib/systemd/system/teapot@.service"),
        ("teapot.sysusers.conf", "lib/sysusers.d/teapot.conf"),
        ("teapot.tmpfiles.conf", "lib/tmpfiles.d/teapot.conf"),
        ("alise.service", "lib/systemd/system/alise.service"),
        ("alise.tmpfiles.conf", "lib/tmpfiles.d/alise.conf"),
    ):
        machine.install(UNITS / name, target)
    (machine.layer / "bin").mkdir()
    for name in ("teapot", "alise"):
        command = machine.layer / "bin" / name
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -I -m {name} "$@"\n')
        command.chmod(0o755)


def configure(machine: Machine) -> None:
    machine.add_account("alice", ALICE_UID)
    data = machine.root / "home/alice/data"
    data.mkdir()
    os.chown(data, ALICE_UID, ALICE_UID)
    tls = machine.etc / "teapot/tls"
    tls.mkdir(parents=True, mode=0o700)
    authority = CertificateAuthority("Teapot test CA")
    authority.issue(tls, "localhost")
    authority.write(machine.etc / "teapot/ca.pem")
    (machine.etc / "teapot/users.map").write_text("alice alice-subject\n")
    for unit, port in guest.PORTS.items():
        name = unit.partition("@")[2]
        spool = {"worker": {"spool": f"/var/lib/teapot/{name}"}} if name else {}
        toml.write(machine.etc / f"teapot/{name or unit}.toml", {**tables(port), **spool})
    (machine.etc / "teapot/broken.toml").write_text('[server]\npublic_url = "https://localhost"\nno_such_key = 1\n')
    for path in (machine.etc / "teapot").glob("*.*"):
        path.chmod(0o644)
    configure_alise(machine, tls)


def configure_alise(machine: Machine, tls: Path) -> None:
    secrets = machine.etc / "alise/secrets"
    secrets.mkdir(parents=True, mode=0o700)
    shutil.copy(tls / "localhost.key", secrets / "tls.key")
    (secrets / "hpc").write_text("the client's secret\n")
    for path in secrets.iterdir():
        path.chmod(0o600)
    shutil.copy(tls / "localhost.pem", machine.etc / "alise/cert.pem")
    provider = {"name": "hpc", "issuer": "https://login.example.org", "client_id": "alise", "client_secret_file": "credential:secret_hpc"}
    server = {
        "public_url": f"https://localhost:{guest.ALISE_PORT}",
        "listen": [f"[::]:{guest.ALISE_PORT}"],
        "tls_certificate": "/etc/alise/cert.pem",
        "tls_key": "credential:secret_tls.key",
    }
    configuration = toml.write(machine.etc / "alise/alise.toml", {"server": server, "provider": [{**provider, "internal": True}]})
    for path in (configuration, machine.etc / "alise/cert.pem"):
        path.chmod(0o644)


def tables(port: int) -> toml.Tables:
    return {
        "server": {
            "public_url": f"https://localhost:{port}",
            "listen": [f"[::]:{port}"],
            "admin_listen": f"127.0.0.1:{port + 1}",
            "tls_certificate": "/etc/teapot/tls/localhost.pem",
            "tls_key": "/etc/teapot/tls/localhost.key",
            "processes": 2,
            "shutdown_timeout_s": 5.0,
        },
        "trust": {"ca": "/etc/teapot/ca.pem"},
        "issuer": [{"url": f"https://localhost:{guest.ISSUER_PORT}", "profile": "wlcg"}],
        "mapping": {"methods": ["file"], "file": {"path": "/etc/teapot/users.map"}},
        "storage_area": [{"name": "home", "path": "/home", "root": "{home}/data"}],
    }
