"""What ALISE answers from: a database with so many links, and `alise serve` on it as its own process, with TLS or as behind a proxy."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.engine import make_url

from alise.login.provider import Provider
from alise.storage.database import open_engine, reading, sqlite_path, writing
from teapot.demo.certificates import CertificateAuthority, ServerFiles
from teapot.demo.site import free_ports
from tests.alise.service import AliseProcess
from tests.service.postgresql import Postgresql

SITE_ISSUER, ISSUER = "https://site.example.org/realms/hpc", "https://iam.example.org/"
PROVIDERS = [Provider("hpc", SITE_ISSUER, "alise", "secret", internal=True), Provider("iam", ISSUER, "alise", "secret")]

# One account with one identity each; names and times are as long as real ones.
_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {last}) ",
    "postgresql": "WITH n(n) AS (SELECT generate_series(0, {last})) ",
}
_SITE, _HOME, _FEDERATION = (
    "(SELECT id FROM site WHERE name = 'hpc')",
    f"(SELECT id FROM issuer WHERE url = '{SITE_ISSUER}')",
    f"(SELECT id FROM issuer WHERE url = '{ISSUER}')",
)
_FILL = (
    ("account (id, site_id, issuer_id, subject, username, display_name, email, status, created_at, last_login_at)",
     f"n + 1, {_SITE}, {_HOME}, 'uid-' || n, 'user' || n, 'Ada Lovelace ' || n, 'user' || n || '@hpc.example.org', 'active', 1.7e9, 1.7e9"),
    ("identity (id, issuer_id, subject, display_name, email, acr, assurance, last_login_at)",
     f"n + 1, {_FEDERATION}, 'user' || n || '@uni.example', 'Ada Lovelace ' || n, 'ada' || n || '@uni.example', '', '[]', 1.7e9"),
    ("link (id, site_id, account_id, identity_id, status, origin, created_at)",
     f"n + 1, {_SITE}, n + 1, n + 1, 'active', 'import', 1.7e9"),
)  # fmt: skip


class Ground(NamedTuple):
    folder: Path
    tls: ServerFiles
    ca: Path


@contextlib.contextmanager
def ground() -> Iterator[Ground]:
    """On a disk: a login waits for its commit."""
    folder = Path(tempfile.mkdtemp(prefix="alise-bench-", dir="/var/tmp"))
    try:
        folder.chmod(0o755)
        authority = CertificateAuthority("ALISE benchmark CA")
        yield Ground(folder, authority.issue(folder, "localhost"), authority.write(folder / "ca.pem"))
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def postgresql(place: Ground) -> Iterator[str]:
    folder = place.folder / "postgresql"
    folder.mkdir()
    with Postgresql(folder) as server:
        yield server.url()


@contextlib.contextmanager
def serving(place: Ground, name: str, providers: list[Provider], url: str = "", *, plain: bool = False) -> Iterator[AliseProcess]:
    (place.folder / name).mkdir(exist_ok=True)
    (port,) = free_ports(1)
    settings = {"tls_certificate": "", "tls_key": ""} if plain else {}
    alise = AliseProcess(place.folder / name, port, providers, place.tls, place.ca, url, **settings)
    if plain:
        alise.url = f"http://127.0.0.1:{port}"
    try:
        yield alise.start()
    finally:
        alise.stop()


@contextlib.contextmanager
def ready_answers(place: Ground, size: int, *, plain: bool) -> Iterator[tuple[str, int]]:
    """Its address and its process."""
    (port,) = free_ports(1)
    tls = [] if plain else [place.tls.certificate, place.tls.key]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.ready_answer", str(port), str(size), *tls])
    try:
        time.sleep(1)
        yield f"{'http' if plain else 'https'}://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(10)


def fill(url: str, links: int) -> float:
    """Straight into the tables, which ALISE has made already; seconds."""
    began = time.perf_counter()
    asyncio.run(_fill(url, links))
    return time.perf_counter() - began


async def _fill(url: str, links: int) -> None:
    engine = open_engine(url)
    kind = engine.dialect.name
    async with writing(engine) as connection:
        for into, values in _FILL:
            numbers = _NUMBERS[kind].format(last=links - 1)
            statement = f"{numbers}INSERT INTO {into} SELECT {values} FROM n"
            await connection.exec_driver_sql(statement if kind == "postgresql" else f"INSERT INTO {into} {numbers}SELECT {values} FROM n")
    async with reading(engine).connect() as connection:
        await connection.exec_driver_sql("ANALYZE" if kind == "postgresql" else "PRAGMA wal_checkpoint(TRUNCATE)")
    await engine.dispose()


def size_gib(url: str) -> float:
    path = sqlite_path(open_engine(url))
    assert path, make_url(url).get_backend_name()
    return os.stat(path).st_size / (1 << 30)
