"""Debian's slapd and SSSD, unpacked into a machine: installed on the host they would change its own name service."""

import shutil
import subprocess
from pathlib import Path

from tests.systemd.machine import Machine

_WANTED = ("slapd", "ldap-utils", "sssd-ldap", "libnss-sss", "libpam-sss")


def unpack(machine: Machine, folder: Path) -> None:
    folder.mkdir()
    simulated = _run(folder, "apt-get", "--simulate", "--no-install-recommends", "install", *_WANTED)
    names = [line.split()[1] for line in simulated.splitlines() if line.startswith("Inst ")]
    _run(folder, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *names)
    tree = folder / "tree"
    for package in folder.glob("*.deb"):
        _run(folder, "dpkg-deb", "-x", str(package), str(tree))
    for source, target in (("usr", machine.layer), ("lib", machine.layer / "lib"), ("etc", machine.etc), ("var", machine.root / "var")):
        shutil.copytree(tree / source, target, symlinks=True, dirs_exist_ok=True)


def _run(folder: Path, *command: str) -> str:
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=180).stdout
