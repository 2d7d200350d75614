"""A real `alise serve` as a process of its own, with a configuration file, and the command line beside it."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alise.login.provider import Provider
from teapot.demo.certificates import ServerFiles
from tests.service import toml

START_S = 20.0


class AliseProcess:
    """Its configuration lies in `folder`; the database, too, unless another is named."""

    TIMEOUT_S = 60

    def __init__(
        self, folder: Path, port: int, providers: Sequence[Provider], files: ServerFiles, ca: Path, database_url: str = "", **server: Any
    ) -> None:
        self.url, self.ca, self.log_file = f"https://localhost:{port}", ca, folder / "log"
        self.config = folder / "alise.toml"
        tables: toml.Tables = {
            "server": {
                "public_url": self.url,
                "listen": [f"127.0.0.1:{port}"],
                "tls_certificate": str(files.certificate),
                "tls_key": str(files.key),
                "logins_per_minute": 10_000,
                **server,
            },
            "database": {"url": database_url or f"sqlite+aiosqlite:///{folder}/alise.db"},
            "trust": {"ca": str(ca)},
            "provider": [self._provider(folder, each) for each in providers],
        }
        toml.write(self.config, tables)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "AliseProcess":
        log = self.log_file.open("ab")
        self.process = subprocess.Popen([sys.executable, "-m", "alise", "serve", "--config", self.config], stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + START_S
        while not self.is_ready():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, f"not ready: {self.log()}"
            time.sleep(0.05)
        return self

    def is_ready(self) -> bool:
        try:
            return self.get("/health/ready")[0] == 200
        except (OSError, urllib.error.URLError):
            return False

    def get(self, path: str) -> tuple[int, bytes]:
        tls = ssl.create_default_context(cafile=self.ca)
        try:
            with urllib.request.urlopen(self.url + path, timeout=5, context=tls) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def run(self, *words: str, status: int = 0) -> str:
        """A command of `alise`; what it says, errors included."""
        command = [sys.executable, "-m", "alise", *words, "--config", self.config]
        environment = {name: value for name, value in os.environ.items() if name != "SUDO_USER"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=self.TIMEOUT_S, env=environment, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def run_json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def _end(self, number: int) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        os.kill(process.pid, number)
        return process.wait(20)

    def _provider(self, folder: Path, each: Provider) -> dict[str, Any]:
        secret = folder / f"{each.name}.secret"
        secret.write_text(each.client_secret)
        secret.chmod(0o600)
        keys = {"name": each.name, "issuer": each.issuer, "client_id": each.client_id, "client_secret_file": str(secret)}
        keys |= {"internal": each.internal, "title": each.title, "username_claim": each.username_claim, "scopes": list(each.scopes)}
        return {**keys, "fresh_by": each.fresh_by} | ({} if each.ca == "system" else {"ca": each.ca})

