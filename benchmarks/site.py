"""What the servers serve: one folder in memory with a file of 1 GiB, one of 4 KiB and 10 000 small ones; owned by a real account."""

import contextlib
import os
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import peers
from benchmarks.peers import Peer
from teapot.demo.certificates import CertificateAuthority
from teapot.demo.issuer import Issuer
from teapot.demo.site import free_ports
from tests.service import accounts, toml
from tests.service.accounts import Account
from tests.service.teapot_process import Teapot

LARGE_BYTES = 1 << 30
ENTRIES = 10_000
NEWCOMERS = 7  # accounts that have no worker yet


@dataclass
class Servers:
    nginx: Peer
    nginx_tls_port: int
    nginx_copying_port: int
    xrootd: Peer
    plain: Teapot
    secure: Teapot
    tls: ssl.SSLContext
    issuer: Issuer
    newcomers: int

    def token(self, teapot: Teapot, subject: str = "owner") -> str:
        audience = str(teapot.tables["server"]["public_url"])
        return self.issuer.token(subject, audience, scope="storage.read:/ storage.modify:/", **{"wlcg.ver": "1.0"})


@contextlib.contextmanager
def servers() -> Iterator[Servers]:
    with contextlib.ExitStack() as stack:
        ground = Path(tempfile.mkdtemp(prefix="teapot-bench-", dir="/dev/shm"))
        stack.callback(shutil.rmtree, ground)
        ground.chmod(0o755)
        people, service = _accounts(stack, ground)
        owner = people[0]
        files = _files(ground, owner)
        authority = CertificateAuthority("Teapot benchmark CA")
        ca = authority.write(ground / "ca.pem")
        ca.chmod(0o644)
        tls = authority.issue(ground, "localhost")
        issuer = stack.enter_context(Issuer(tls))
        (ground / "users.map").write_text("".join(f"{one.name} {_subject(i)}\n" for i, one in enumerate(people)))
        (ground / "users.map").chmod(0o644)
        ports = free_ports(5)
        run = ground / "run"
        run.mkdir()
        os.chown(run, owner.uid, owner.gid)
        nginx = stack.enter_context(peers.nginx(run, files, owner, tls, ports[0], ports[1], ports[4]))
        xrootd = stack.enter_context(peers.xrootd(run, files, owner, ports[2], ports[3]))
        common = _tables(ground, files, service, ca, issuer)
        teapots = []
        for name, server in (("plain", {}), ("secure", {"tls_certificate": tls.certificate, "tls_key": tls.key})):
            (ground / name).mkdir()
            teapot = Teapot(ground / name, toml.changed(common, {"server": server}), ca)
            if name == "plain":
                address = f"127.0.0.1:{teapot.port}"
                teapot.tables = toml.changed(teapot.tables, {"server": {"listen": [address], "public_url": f"http://{address}"}})
            stack.callback(teapot.stop)
            teapots.append(teapot.start())
        yield Servers(nginx, ports[1], ports[4], xrootd, *teapots, ssl.create_default_context(cafile=str(ca)), issuer, len(people) - 1)


def _subject(number: int) -> str:
    return f"newcomer-{number}" if number else "owner"


def _accounts(stack: contextlib.ExitStack, ground: Path) -> tuple[list[Account], dict[str, Account]]:
    accounts.sweep()
    homes = ground / "home"
    homes.mkdir(mode=0o755)
    people, service = [], {}
    for number in range(NEWCOMERS + 1):
        people.append(accounts.create_person(f"bench-{'abcdefgh'[number]}", homes))
        stack.callback(accounts.remove, people[-1])
    for key in ("account", "authority_account", "observer_account", "spawner_account"):
        service[key] = accounts.create_service(key.replace("_", "-"))
        stack.callback(accounts.remove, service[key])
    return people, service


def _files(ground: Path, owner: Account) -> Path:
    files = ground / "files"
    (files / "many").mkdir(parents=True)
    with open(files / "large", "wb") as large:
        for _ in range(LARGE_BYTES >> 20):
            large.write(os.urandom(64) * (1 << 14))
    (files / "small").write_bytes(os.urandom(4096))
    for number in range(ENTRIES):
        (files / "many" / f"file-{number:05}.root").write_bytes(b"x")
    for path in (files, *files.rglob("*")):
        os.chown(path, owner.uid, owner.gid)
        path.chmod(0o755 if path.is_dir() else 0o644)
    (files / "shared").mkdir()
    (files / "shared").chmod(0o1777)
    return files


def _tables(ground: Path, files: Path, service: dict[str, Account], ca: Path, issuer: Issuer) -> toml.Tables:
    return {
        "server": {
            "processes": 2,
            "shutdown_timeout_s": 5.0,
            "keepalive_timeout_s": 600.0,
            "log_level": "warning",
            **{key: one.name for key, one in service.items()},
        },
        "trust": {"ca": ca},
        "issuer": [{"url": issuer.url, "profile": "wlcg"}],
        "mapping": {"methods": ["file"], "file": {"path": ground / "users.map"}},
        "storage_area": [{"name": "files", "path": "/files", "root": files}],
        "worker": {"spool": ground / "spool"},
    }
