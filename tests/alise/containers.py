"""PostgreSQL in a container that testcontainers starts: an image of Debian's packages, podman in the place of Docker, a store of its own.

It runs in the host's network: podman's own would leave rules of the firewall behind.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from teapot.demo.site import free_ports

IMAGE = "localhost/postgresql:made"
PASSWORD = "of-the-owner-51d8"
_SETTINGS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
"""
_SERVE = """
set -e
data=/var/lib/postgresql/made; programs=$(ls -d /usr/lib/postgresql/*/bin)
printf %s "$PASSWORD" >/tmp/password
"$programs/initdb" -D $data -U owner -A scram-sha-256 --pwfile=/tmp/password --no-sync >/dev/null
exec "$programs/postgres" -D $data --listen_addresses=127.0.0.1 --port="$PORT" --fsync=off --unix_socket_directories=
"""
_STARTS_WITHIN_S = 60


@contextmanager
def engine(folder: Path) -> Iterator[str]:
    """The address where podman answers as Docker would; its images have PostgreSQL."""
    (folder / "containers.conf").write_text(_SETTINGS)
    environment = os.environ | {"CONTAINERS_CONF": str(folder / "containers.conf")}
    podman = ["podman", "--root", folder / "store", "--runroot", folder / "run", "--storage-driver", "vfs"]
    tar, socket = folder / "postgresql.tar", folder / "podman.sock"
    _make(tar)
    subprocess.run([*podman, "import", "-q", tar, IMAGE], check=True, timeout=300, env=environment, capture_output=True)
    tar.unlink()
    with open(folder / "log", "ab") as log:
        service = subprocess.Popen([*podman, "system", "service", "--time=0", f"unix://{socket}"], stdout=log, stderr=log, env=environment)
    try:
        _until(socket.exists, folder / "log")
        yield f"unix://{socket}"
    finally:
        service.terminate()
        service.wait(20)
        shutil.rmtree(folder / "store")


@contextmanager
def postgresql(docker_host: str) -> Iterator[str]:
    """The URL of a database; the container is gone afterwards."""
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    testcontainers_config.ryuk_disabled = True  # its helper is an image that would be downloaded
    (port,) = free_ports(1)
    container = DockerContainer(IMAGE, docker_client_kw={"environment": {"DOCKER_HOST": docker_host}})
    container = container.with_kwargs(network_mode="host", user="postgres").with_command(["/bin/sh", "-c", _SERVE])
    container = container.with_env("PASSWORD", PASSWORD).with_env("PORT", str(port))
    with container as started:
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while b"ready to accept connections" not in b"".join(started.get_logs()):
            assert time.monotonic() < deadline, started.get_logs()
            time.sleep(0.2)
        yield f"postgresql+asyncpg://owner:{PASSWORD}@127.0.0.1:{port}/postgres"


def _make(tar: Path) -> None:
    """Takes half a minute, and several where others use the machine."""
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--include=postgresql", _suite(), tar], check=True, timeout=600)


def _until(happened: object, log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _suite() -> str:
    """The release that this machine has: its mirrors are known to work."""
    lines = Path("/etc/os-release").read_text().splitlines()
    return next(line.partition("=")[2].strip('"') for line in lines if line.startswith("VERSION_CODENAME="))
