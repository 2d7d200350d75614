"""A Teapot as an admin would start it: `teapot serve --config FILE`, waited for until ready, stopped, and looked after for what is left."""

import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from teapot.demo.site import free_ports
from tests.service import clients, toml
from tests.service.accounts import Account
from tests.service.clients import Answer, CurlAnswer

READY_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 60.0
GONE_TIMEOUT_S = 10.0
TEAPOT = Path(sys.executable).with_name("teapot")


class Teapot:
    """`account`: None for root, and so for several accounts; otherwise single-account mode as that account."""

    def __init__(self, directory: Path, tables: toml.Tables, ca: Path, account: Account | None = None) -> None:
        self.directory = directory
        self.account = account
        self.port, self.admin_port = free_ports(2)
        self.ca = ca
        self.tls = ssl.create_default_context(cafile=str(ca))
        self._log = directory / "teapot.log"
        self._process: subprocess.Popen[bytes] | None = None
        addresses = {
            "public_url": self.url(),
            "listen": [f"[::]:{self.port}"],
            "admin_listen": f"127.0.0.1:{self.admin_port}",
        }
        self.tables = toml.changed({"server": addresses}, tables)

    # --- its life

    def start(self) -> "Teapot":
        self.write_configuration()
        as_whom = {"user": self.account.uid, "group": self.account.gid, "extra_groups": ()} if self.account else {}
        command = [TEAPOT, "serve", "--config", self.configuration]
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(  # type: ignore[call-overload]
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **as_whom
            )
        self.wait_until_ready()
        return self

    def write_configuration(self, changes: toml.Tables | None = None) -> None:
        self.tables = toml.changed(self.tables, changes or {})
        toml.write(self.configuration, self.tables)

    @property
    def configuration(self) -> Path:
        return self.directory / "teapot.toml"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait_until_ready(self) -> None:
        wait_for(self._is_ready, READY_TIMEOUT_S, lambda: f"Teapot is not ready:\n{self.log()}")

    def stop(self) -> None:
        """In order: exit status 0, and of all its processes none left."""
        if self._process is None:
            return
        known = self.processes()
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._kill(known)
            raise AssertionError(f"Teapot did not end within {STOP_TIMEOUT_S} s:\n{self.log()}") from None
        self._process = None
        left = self._left_of(known)
        self._kill(left)
        assert status == 0, f"Teapot ended with {status}:\n{self.log()}"
        assert not left, f"processes left over: {left}\n{self.log()}"

    def kill_master(self) -> list[psutil.Process]:
        """kill -9; returns what was running below it. `start` begins anew, as systemd would."""
        assert self._process is not None
        known = self.processes()
        self._process.kill()
        self._process.wait()
        self._process = None
        return known

    def _kill(self, processes: list[psutil.Process]) -> None:
        for process in processes:
            if process.is_running():
                process.kill()
        psutil.wait_procs(processes, GONE_TIMEOUT_S)

    def _left_of(self, known: list[psutil.Process]) -> list[psutil.Process]:
        _, alive = psutil.wait_procs(known, GONE_TIMEOUT_S)
        return alive

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"Teapot ended with {self._process.returncode}:\n{self.log()}"
        try:
            return self.admin("/readyz").status == 200
        except OSError:
            return False

    # --- what can be seen of it

    def processes(self, role: str = "") -> list[psutil.Process]:
        """All of its processes, or those of a role: master, gateway, authority, spawner, observer, worker."""
        if not self.is_running:
            return []
        master = psutil.Process(self.pid)
        found = [master, *master.children(recursive=True)]
        return [process for process in found if f"teapot: {role}" in _title(process)] if role else found

    def process(self, role: str) -> psutil.Process:
        (found,) = self.processes(role)
        return found

    def worker_of(self, account: Account) -> psutil.Process:
        (found,) = [process for process in self.processes("worker") if process.uids().real == account.uid]
        return found

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def log_end(self, lines: int = 60) -> str:
        return "\n".join(self.log().splitlines()[-lines:])

    def admin(self, path: str) -> Answer:
        return clients.request(None, self.admin_port, "GET", path, timeout_s=5)

    # --- requests

    def url(self, path: str = "") -> str:
        return f"https://localhost:{self.port}{path}"

    def request(
        self,
        method: str,
        target: str,
        token: str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = clients.TIMEOUT_S,
    ) -> Answer:
        return clients.request(self.tls, self.port, method, target, token=token, headers=headers, body=body, timeout_s=timeout_s)

    def curl(self, path: str, *arguments: str | Path, token: str | None = None) -> CurlAnswer:
        return clients.curl(self.ca, *arguments, self.url(path), token=token)

    def connect(self) -> ssl.SSLSocket:
        return clients.connect(self.tls, self.port)

    def say(self, data: bytes) -> bytes:
        return clients.say(self.tls, self.port, data)


def wait_for(condition: Callable[[], bool], timeout_s: float, otherwise: Callable[[], str] | str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise if isinstance(otherwise, str) else otherwise())
        time.sleep(0.02)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
