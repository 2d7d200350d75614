"""Where a file's content is, as a program of the site's says it: one run for each version of a file at a time, however many ask."""

import os
import threading
import time
from collections import OrderedDict

from teapot.configuration import Residency as Settings
from teapot.worker import localities
from teapot.worker.command_runner import CommandFailed
from teapot.worker.refusal import Refusal
from teapot.worker.site_commands import SiteCommands

_LEEWAY_S = 2.0
_MOST_KNOWN = 4096

_Version = tuple[int, int, int, int]


class _Run:
    """Waited for by all who ask about the file meanwhile."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.locality = ""
        self.failure = ""


class AskedByCommand:
    """What it says counts for a while."""

    def __init__(self, settings: Settings, name: str, commands: SiteCommands | None) -> None:
        self._settings, self._name, self._commands = settings, name, commands
        self._known: OrderedDict[_Version, tuple[float, str]] = OrderedDict()
        self._runs: dict[_Version, _Run] = {}
        self._lock = threading.Lock()

    def __call__(self, descriptor: int, status: os.stat_result) -> str:
        version = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        with self._lock:
            until, locality = self._known.get(version, (0.0, ""))
            if time.monotonic() < until:
                return locality
            first = version not in self._runs
            run = self._runs.setdefault(version, _Run())
        if first:
            self._carry_out(run, version, descriptor)
        if not run.over.wait(self._settings.timeout_s + _LEEWAY_S) or run.failure:
            raise Refusal("residency_unknown", run.failure or "the command takes too long")
        return run.locality

    def _carry_out(self, run: _Run, version: _Version, descriptor: int) -> None:
        try:
            run.locality = self._said(descriptor)
        except CommandFailed as failed:
            run.failure = str(failed)
        except Refusal as refusal:
            run.failure = refusal.detail
        except BaseException as fault:
            run.failure = f"{type(fault).__name__}: {fault}"
            raise
        finally:
            self._remember(run, version)
            run.over.set()

    def _said(self, descriptor: int) -> str:
        if self._commands is None:
            raise CommandFailed("nobody runs commands here")
        path = os.readlink(f"/proc/self/fd/{descriptor}")  # without symbolic links, and inside the area
        said = self._commands.output(self._name, os.fsencode(path))
        return (localities.lustre if self._settings.answer == "lustre" else localities.word)(said, self._settings.command[0])

    def _remember(self, run: _Run, version: _Version) -> None:
        with self._lock:
            del self._runs[version]
            if not run.failure and self._settings.ttl_s:
                self._known[version] = time.monotonic() + self._settings.ttl_s, run.locality
                self._known.move_to_end(version)
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
