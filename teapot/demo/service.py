"""Teapot and ALISE as the demo runs them: each a child with its log in a file, stopped and waited for whatever happens."""

import contextlib
import json
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from teapot.demo.site import NAME, Site, write_secret

READY_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 45.0
_POLL_S = 0.05
_LOG_LINES = 20
_COMMAND_TIMEOUT_S = 30


class DemoFailed(Exception):
    """With what to say to whoever started the demo."""


class Service(NamedTuple):
    name: str
    command: list[str]
    log: Path
    ready_url: str
    ca: Path

    def log_end(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(f"    {line}" for line in lines[-_LOG_LINES:])


def teapot(site: Site) -> Service:
    ready = f"http://127.0.0.1:{site.admin_port}/readyz"
    return Service("Teapot", [_program("teapot"), *_serve(site.configuration)], site.directory / "teapot.log", ready, site.ca)


def alise(site: Site) -> Service:
    ready = f"{site.alise_url}/health/ready"
    return Service("ALISE", [_program("alise"), *_serve(site.alise_configuration)], site.directory / "alise.log", ready, site.ca)


def key_command(site: Site) -> list[str]:
    owner = ["--site", NAME, "--owner", "the demo's Teapot"]
    return [_program("alise"), "keys", "create", "--config", str(site.alise_configuration), *owner, "--json"]


def links_command(site: Site) -> list[str]:
    return [_program("alise"), "links", "list", "--config", str(site.alise_configuration)]


def write_key(site: Site) -> None:
    """What `alise keys create` says goes into a file and nowhere else."""
    done = subprocess.run(key_command(site), stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMMAND_TIMEOUT_S, check=False)
    if done.returncode:
        raise DemoFailed(f"alise keys create: {done.stderr.decode(errors='replace')}")
    write_secret(site.alise_key, json.loads(done.stdout)["key"])


@contextlib.contextmanager
def running(service: Service) -> Iterator[float]:
    """Yields the seconds that it took to become ready."""
    with open(service.log, "wb") as log_file:
        began = time.monotonic()
        process = subprocess.Popen(
            service.command, stdin=subprocess.DEVNULL, stdout=log_file, stderr=log_file, start_new_session=True
        )  # a session of its own: Ctrl-C is for the demo, which then stops it in order
        try:
            _wait_until_ready(service, process)
            yield time.monotonic() - began
        finally:
            _stop(process)


def _program(name: str) -> str:
    """Installed beside the interpreter."""
    return str(Path(sys.executable).with_name(name))


def _serve(configuration: Path) -> list[str]:
    return ["serve", "--config", str(configuration)]


def _wait_until_ready(service: Service, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DemoFailed(f"{service.name} did not start (exit status {process.returncode}). Its log:\n{service.log_end()}")
        if _answers(service):
            return
        time.sleep(_POLL_S)
    raise DemoFailed(f"{service.name} was not ready after {READY_TIMEOUT_S:.0f} s. Its log:\n{service.log_end()}")


def _answers(service: Service) -> bool:
    tls = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=service.ca))
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), tls)
    try:
        with direct.open(service.ready_url, timeout=2) as answer:
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
