"""Boots a machine once with slapd, SSSD and Teapot; the tests judge what its guest program has seen."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.accounts_directory import guest, packages, relay
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
ldap_uri = {guest.RELAY}
ldap_schema = rfc2307bis
ldap_group_nesting_level = {guest.NESTED}
ldap_search_base = {guest.BASE}
ldap_id_use_start_tls = false
ldap_tls_reqcert = never
use_fully_qualified_names = true
entry_cache_timeout = 3
entry_cache_group_timeout = 300
offline_timeout = 1
offline_timeout_max = 2
offline_timeout_random_offset = 0
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
    machine.install_program(Path(relay.__file__))
    said = machine.run(f"{sys.executable} {machine.install_program(Path(guest.__file__))}", software())
    path = machine.results / "notes.json"
    assert path.exists(), said
    yield {**json.loads(path.read_text()), "said": said}


def _directory(machine: Machine) -> None:
    (machine.etc / "nsswitch.conf").write_text(guest.NSSWITCH)
    (machine.etc / "sssd").mkdir(exist_ok=True)
    (machine.etc / "sssd/sssd.conf").write_text(_SSSD)
    (machine.etc / "sssd/sssd.conf").chmod(0o600)
    (machine.etc / "ldap/slapd.conf").write_text(_SLAPD)
    _let_groups_hold_groups(machine.etc / "ldap/schema/nis.schema")
    (machine.root / "var/lib/ldap-test").mkdir()
    for number, name in enumerate(guest.PEOPLE):
        data = machine.root / "home" / name / "data"
        data.mkdir(parents=True)
        for path in (data.parent, data):
            os.chown(path, guest.FIRST_UID + number, guest.FIRST_UID + number)
            path.chmod(0o700)


def _let_groups_hold_groups(schema: Path) -> None:
    """RFC 2307bis: a posixGroup is what a groupOfNames is besides, so that its members are entries, groups among them."""
    text = schema.read_text()
    structural = "SUP top STRUCTURAL\n\tMUST ( cn $ gidNumber )"
    assert structural in text
    schema.write_text(text.replace(structural, structural.replace("STRUCTURAL", "AUXILIARY")))


def _teapot(machine: Machine) -> None:
    """As in the tests of the units, with people of the directory, and PAM asking SSSD."""
    machine.add_account("bob", guest.BOB_UID)
    data = machine.root / "home/bob/data"
    data.mkdir()
    os.chown(data, guest.BOB_UID, guest.BOB_UID)
    people = "".join(f"{name}@{guest.DOMAIN} {name}-subject\n" for name in guest.PEOPLE)
    (machine.etc / "teapot/users.map").write_text(f"alice alice-subject\nbob bob-subject\n{people}")
    (machine.etc / "pam.d").mkdir(exist_ok=True)
    rules = "account required pam_unix.so\naccount [default=bad success=ok user_unknown=ignore] pam_sss.so\n"
    (machine.etc / "pam.d/teapot").write_text(rules)
    os.chown(machine.etc / "shadow", 0, 42)
    (machine.etc / "shadow").chmod(0o640)
    toml.write(machine.etc / "teapot/teapot.toml", {**tables(guest.PORT), "accounts": guest.POLICY})
    (machine.etc / "teapot/teapot.toml").chmod(0o644)
