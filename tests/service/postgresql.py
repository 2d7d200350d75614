"""A PostgreSQL server of a test's own: made in a folder, listening on a loopback port with passwords, ended by its pid."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from teapot.demo.site import free_ports

PASSWORD = "of-the-owner-0f3a"


class Postgresql:
    """`with Postgresql(folder) as server:` as the account postgres when we are root: it refuses to be root itself."""

    def __init__(self, folder: Path) -> None:
        self._folder, (self.port,) = folder, free_ports(1)
        self._account = {"user": "postgres", "group": "postgres", "extra_groups": ()} if os.getuid() == 0 else {}
        self._server: subprocess.Popen[bytes] | None = None

    def url(self, role: str = "owner", password: str = PASSWORD) -> str:
        return f"postgresql+asyncpg://{role}:{password}@127.0.0.1:{self.port}/postgres"

    def run(self, statements: str) -> None:
        command = [_program("psql"), "-v", "ON_ERROR_STOP=1", "-q", self.url().replace("+asyncpg", "")]
        subprocess.run(command, input=statements.encode(), check=True, timeout=30, stdout=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        data, password = self._folder / "data", self._folder / "password"
        password.write_text(PASSWORD)
        if self._account:
            owner = pwd.getpwnam("postgres")
            for path in (self._folder, password):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        make = [_program("initdb"), "-D", data, "-U", "owner", "-A", "scram-sha-256", f"--pwfile={password}", "--no-sync"]
        subprocess.run(make, check=True, timeout=60, stdout=subprocess.DEVNULL, cwd="/", **self._account)  # type: ignore[call-overload]
        self.start()
        return self

    def start(self) -> None:
        settings = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": "", "fsync": "off"}
        command = [_program("postgres"), "-D", self._folder / "data", *(f"--{key}={value}" for key, value in settings.items())]
        with open(self._folder / "log", "ab") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self._account)  # type: ignore[call-overload]
        wait = [_program("pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]
        for _ in range(100):
            if subprocess.run([*wait, "-t", "1"], stdout=subprocess.DEVNULL, timeout=10).returncode == 0:
                return
            assert self._server.poll() is None, (self._folder / "log").read_text()
            time.sleep(0.1)
        raise AssertionError((self._folder / "log").read_text())

    def stop(self) -> None:
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(20)
            self._server = None

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()


def _program(name: str) -> str:
    """Debian keeps the server's programs out of the path."""
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)), None)
    assert found, f"{name} is not installed"
    return found
