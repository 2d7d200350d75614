"""What a session has brought into being and must take away again: accounts, Teapots, the folder for everything."""

import shutil
import stat
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.service.accounts import Account
from tests.service.teapot_process import Teapot

_PATIENCE_S = 8.0


def _new_ground() -> Path:
    """Not below pytest's own folder: that is closed to all accounts but ours."""
    ground = Path(tempfile.mkdtemp(prefix="teapot-tests-"))
    ground.chmod(0o755)
    return ground


@dataclass
class Ledger:
    ground: Path = field(default_factory=_new_ground)
    accounts: list[Account] = field(default_factory=list)
    teapots: list[Teapot] = field(default_factory=list)

    def folder(self, name: str) -> Path:
        made = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.ground))
        made.chmod(0o755)
        return made

    def left_over(self) -> list[str]:
        """Processes of our accounts that belong to no running Teapot, and socket files; what is just ending is waited for."""
        deadline = time.monotonic() + _PATIENCE_S
        while (found := self._left_over_now()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def end_stray_processes(self) -> None:
        """So that what one test left is held against that test alone."""
        strays = self._stray_processes()
        for process in strays:
            process.kill()
        psutil.wait_procs(strays, _PATIENCE_S)

    def close(self) -> None:
        shutil.rmtree(self.ground)

    def _left_over_now(self) -> list[str]:
        processes = [f"process {each.pid} of uid {each.info['uids'].real}: {_title(each)}" for each in self._stray_processes()]
        return processes + self._socket_files()

    def _stray_processes(self) -> list[psutil.Process]:
        uids = {account.uid for account in self.accounts}
        known = {process.pid for teapot in self.teapots for process in teapot.processes()}
        return [
            process
            for process in psutil.process_iter(["uids", "cmdline", "name", "status"])
            if process.pid not in known
            and process.info["uids"]
            and process.info["uids"].real in uids
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ]

    def _socket_files(self) -> list[str]:
        found = []
        for path in self.ground.rglob("*"):
            try:
                if stat.S_ISSOCK(path.lstat().st_mode):
                    found.append(f"socket {path}")
            except FileNotFoundError:
                continue
        return found


def _title(process: psutil.Process) -> str:
    return " ".join(process.info["cmdline"] or ()).strip() or str(process.info["name"])
