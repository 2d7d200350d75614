"""A machine of its own for a test: this machine's /usr below a layer that is thrown away, a fresh /etc and /var, and systemd as its init.

It boots in systemd-nspawn without a network, runs one program as a unit, and powers itself off. Nothing of it is left on the host.
"""

import grp
import os
import pwd
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

BOOT_TIMEOUT_S = 180

_RUN = """\
[Unit]
Description=What the test does inside
After=multi-user.target systemd-sysusers.service systemd-tmpfiles-setup.service
Conflicts=shutdown.target

[Service]
Type=oneshot
TimeoutStartSec=150
StandardOutput=append:/results/output
StandardError=inherit
ExecStart={command}
ExecStopPost=/bin/systemctl poweroff --force --force

[Install]
WantedBy=default.target
"""
# Not those of this machine's accounts: whoever looks for processes by uid must not find those inside.
_UIDS = "r - 600-650\n"
# Which nspawn of some versions does not let through by itself; what the units let through is their own.
_LANDLOCK = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"
# What the host's boot would start but a test does not need, or cannot have in there.
_MASKED = ("systemd-resolved", "systemd-networkd", "systemd-timesyncd", "console-getty", "getty@", "cron", "ssh", "nginx", "e2scrub_reap")


class Machine:
    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self.results = directory / "results"
        self.layer = directory / "usr"  # what is added to /usr
        for folder in (self.root, self.results, self.layer, self.etc / "systemd/system"):
            folder.mkdir(parents=True)
        for folder in (self.root, self.layer):  # the umask of whoever runs the test is not to matter inside
            folder.chmod(0o755)
        for name in ("usr", "var", "run", "tmp", "proc", "sys", "dev", "home", "srv", "root", "results", "opt"):
            (self.root / name).mkdir()
        (self.root / "tmp").chmod(0o1777)
        for name in ("bin", "sbin", "lib", "lib64"):
            (self.root / name).symlink_to(f"usr/{name}")
        self._write_etc()

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    def _write_etc(self) -> None:
        root, nobody = pwd.getpwuid(0), pwd.getpwnam("nobody")
        self._put("passwd", "".join(f"{e.pw_name}:x:{e.pw_uid}:{e.pw_gid}::{e.pw_dir}:{e.pw_shell}\n" for e in (root, nobody)))
        groups = [grp.getgrnam(name) for name in ("root", "nogroup", "tty", "utmp")]
        self._put("group", "".join(f"{e.gr_name}:x:{e.gr_gid}:\n" for e in groups))
        self._put("shadow", "root:*:19000::::::\nnobody:*:19000::::::\n").chmod(0o600)
        self._put("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
        self._put("hosts", "127.0.0.1 localhost\n::1 localhost\n")
        self._put("machine-id", uuid.uuid4().hex + "\n")  # without one systemd would enable every unit that it finds
        self._put("os-release", Path("/etc/os-release").read_text())
        for name in ("ld.so.cache", "ld.so.conf", "localtime"):
            if Path("/etc", name).exists():
                shutil.copy(Path("/etc", name).resolve(), self.etc / name)
        shutil.copytree("/etc/ssl", self.etc / "ssl", symlinks=True)
        self._put("sysusers.d/range.conf", _UIDS)
        for unit in _MASKED:
            (self.etc / "systemd/system" / f"{unit}.service").symlink_to("/dev/null")

    def _put(self, name: str, content: str) -> Path:
        path = self.etc / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        return path

    def add_account(self, name: str, uid: int) -> None:
        """With a home of its own that nobody else may enter."""
        for file, line in (
            ("passwd", f"{name}:x:{uid}:{uid}::/home/{name}:/bin/sh\n"),
            ("group", f"{name}:x:{uid}:\n"),
            ("shadow", f"{name}:*:19000::::::\n"),
        ):
            with open(self.etc / file, "a") as opened:
                opened.write(line)
        home = self.root / "home" / name
        home.mkdir(mode=0o700)
        os.chown(home, uid, uid)

    def install(self, source: Path, target: str) -> None:
        """Into /usr, as a package would: `target` is relative to it."""
        path = self.layer / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path)

    def install_program(self, source: Path) -> str:
        """Its path inside."""
        shutil.copy(source, self.results / source.name)
        return f"/results/{source.name}"

    def run(self, command: str, readable: Sequence[Path]) -> str:
        """Boots, runs the command as a unit, waits until the machine is off; what the command has said."""
        unit = self.etc / "systemd/system/test.service"
        unit.write_text(_RUN.format(command=command))
        wants = self.etc / "systemd/system/default.target.wants"
        wants.mkdir()
        (wants / "test.service").symlink_to(f"../{unit.name}")
        (self.etc / "systemd/system/default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")
        boot = subprocess.run(
            [*self._nspawn(), *(f"--bind-ro={path}" for path in readable), "--boot"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=BOOT_TIMEOUT_S,
        )
        output = self.results / "output"
        return output.read_text(errors="replace") if output.exists() else f"nothing was run:\n{boot.stdout}\n{boot.stderr}"

    def _nspawn(self) -> list[str]:
        return [
            "systemd-nspawn",
            "--quiet",
            f"--directory={self.root}",
            f"--machine=teapot-test-{os.getpid()}",
            "--register=no",
            "--keep-unit",
            "--private-network",
            "--link-journal=no",
            f"--system-call-filter={_LANDLOCK}",
            f"--overlay=/usr:{self.layer}:/usr",
            f"--bind={self.results}:/results",
        ]
