"""Teapot as the demo runs it: `teapot serve` as a child, its log in a file, stopped and waited for whatever happens."""

import contextlib
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from teapot.demo.site import Site

READY_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 45.0
_POLL_S = 0.05
_LOG_LINES = 20


class DemoFailed(Exception):
    """With what to say to whoever started the demo."""


@contextlib.contextmanager
def running(site: Site) -> Iterator[float]:
    """Yields the seconds that it took to become ready."""
    log = site.directory / "teapot.log"
    with open(log, "wb") as log_file:
        began = time.monotonic()
        process = subprocess.Popen(
            serve_command(site), stdin=subprocess.DEVNULL, stdout=log_file, stderr=log_file, start_new_session=True
        )  # a session of its own: Ctrl-C is for the demo, which then stops it in order
        try:
            _wait_until_ready(site, process)
            yield time.monotonic() - began
        finally:
            _stop(process)


def serve_command(site: Site) -> list[str]:
    return [str(Path(sys.executable).with_name("teapot")), "serve", "--config", str(site.configuration)]


def log_end(site: Site) -> str:
    lines = (site.directory / "teapot.log").read_text(errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-_LOG_LINES:])


def _wait_until_ready(site: Site, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DemoFailed(f"Teapot did not start (exit status {process.returncode}). Its log:\n{log_end(site)}")
        if _answers(f"http://127.0.0.1:{site.admin_port}/readyz"):
            return
        time.sleep(_POLL_S)
    raise DemoFailed(f"Teapot was not ready after {READY_TIMEOUT_S:.0f} s. Its log:\n{log_end(site)}")


def _answers(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()  # the others see the end of file on their sockets and leave
        process.wait()
