"""Boots a machine once with slapd, SSSD and Teapot; the tests judge what its guest program has seen."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.accounts_directory import guest, packages
from tests.service import toml
from tests.systemd.conftest import configure, install_units, software, tables
from tests.systemd.machine import Machine

_SSSD = f"""\
[sssd]
services = nss, pam
domains = {guest.DOMAIN}
[nss]
entry_negative_timeout = 1
memcache_timeout = 2
[domain/{guest.DOMAIN}]
id_provider = ldap
access_provider = permit
ldap_uri = {guest.LDAP}
ldap_search_base = {guest.BASE}
ldap_id_use_start_tls = false
ldap_tls_reqcert = never
use_fully_qualified_names = true
entry_cache_timeout = 1
offline_timeout = 1
"""
_SLAPD = f"""\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
pidfile /run/slapd.pid
database ldif
directory /var/lib/ldap-test
suffix "{guest.BASE}"
rootdn "cn=admin,{guest.BASE}"
rootpw secret
"""


@pytest.fixture(scope="session")
def notes(root: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What was seen, by name (guest.py)."""
    folder = tmp_path_factory.mktemp("directory")
    machine = Machine(folder / "machine")
    install_units(machine)
    configure(machine)
    packages.unpack(machine, folder / "packages")
    _directory(machine)
    _teapot(machine)
    said = machine.run(f"{sys.executable} {machine.install_program(Path(guest.__file__))}", software())
    path = machine.results / "notes.json"
    assert path.exists(), said
    yield {**json.loads(path.read_text()), "said": said}


def _directory(machine: Machine) -> None:
    (machine.etc / "nsswitch.conf").write_text("passwd: files sss\ngroup: files sss\nshadow: files\nhosts: files\n")
    (machine.etc / "sssd").mkdir(exist_ok=True)
    (machine.etc / "sssd/sssd.conf").write_text(_SSSD)
    (machine.etc / "sssd/sssd.conf").chmod(0o600)
    (machine.etc / "ldap/slapd.conf").write_text(_SLAPD)
    (machine.root / "var/lib/ldap-test").mkdir()
    for number, name in enumerate(guest.PEOPLE):
        data = machine.root / "home" / name / "data"
        data.mkdir(parents=True)
        for path in (data.parent, data):
            os.chown(path, guest.FIRST_UID + number, guest.FIRST_UID + number)
            path.chmod(0o700)


def _teapot(machine: Machine) -> None:
    """As in the tests of the units, with people of the directory, and PAM asking SSSD."""
    people = "".join(f"{name}@{guest.DOMAIN} {name}-subject\n" for name in guest.PEOPLE)
    (machine.etc / "teapot/users.map").write_text(f"alice alice-subject\n{people}")
    (machine.etc / "pam.d").mkdir(exist_ok=True)
    rules = "account required pam_unix.so\naccount [default=bad success=ok user_unknown=ignore] pam_sss.so\n"
    (machine.etc / "pam.d/teapot").write_text(rules)
    with (machine.etc / "shadow").open("a") as shadow:
        shadow.write("alice:*:19000::::::\n")
    os.chown(machine.etc / "shadow", 0, 42)
    (machine.etc / "shadow").chmod(0o640)
    toml.write(machine.etc / "teapot/teapot.toml", {**tables(guest.PORT), "accounts": {"pam_service": "teapot", "recheck_s": 2.0}})
    (machine.etc / "teapot/teapot.toml").chmod(0o644)
