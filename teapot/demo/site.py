"""The demo's site: a directory with certificates, keys, a teapot.toml that can be read and changed, and a folder for the files."""

import json
import os
import pwd
import socket
import sys
from pathlib import Path
from typing import NamedTuple

from teapot.demo import mint
from teapot.demo.certificates import CertificateAuthority, ServerFiles

SUBJECT = "0c5d2f6e-demo-user"
AREA = "/demo"

_CONFIGURATION = """\
[server]
public_url = "https://localhost:{port}"
listen = [{listen}]
tls_certificate = "{tls.certificate}"
tls_key = "{tls.key}"
admin_listen = "127.0.0.1:{admin_port}"
processes = 2

[trust]
ca = "{ca}"                     # the demo's own certificate authority

[[issuer]]
url = "{issuer}"
profile = "wlcg"

[mapping]
methods = ["file"]
[mapping.file]
path = "{users}"        # lines: account subject issuer

[accounts]                      # an ordinary user's Teapot serves nobody but this very user, whatever stands here
minimum_uid = {minimum_uid}
denied_groups = ["root"]
nologin = "allow"

[[storage_area]]
name = "demo"
path = "{area}"
root = "{files}"

[worker]
spool = "{spool}"
"""


class Site(NamedTuple):
    directory: Path
    ca: Path
    issuer_files: ServerFiles
    teapot_files: ServerFiles
    port: int
    admin_port: int

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def configuration(self) -> Path:
        return self.directory / "teapot.toml"

    @property
    def files(self) -> Path:
        return self.directory / "files"

    @property
    def authorization(self) -> Path:
        """A header line with the token, for curl -H @FILE."""
        return self.directory / "authorization"


def prepare(directory: Path) -> Site:
    authority = CertificateAuthority("Teapot demo CA")
    ca = authority.write(directory / "ca.pem")
    ports = free_ports(2)
    site = Site(directory, ca, authority.issue(directory, "issuer"), authority.issue(directory, "teapot"), *ports)
    site.files.mkdir()
    (directory / "spool").mkdir(mode=0o700)
    return site


def configure(site: Site, issuer_url: str) -> None:
    users = site.directory / "users.map"
    users.write_text(f"{pwd.getpwuid(os.getuid()).pw_name} {SUBJECT} {issuer_url}\n")
    listen = [f"127.0.0.1:{site.port}", *([f"[::1]:{site.port}"] if _has_ipv6() else [])]
    site.configuration.write_text(
        _CONFIGURATION.format(
            port=site.port,
            listen=", ".join(map(json.dumps, listen)),
            tls=site.teapot_files,
            admin_port=site.admin_port,
            ca=site.ca,
            issuer=issuer_url,
            users=users,
            minimum_uid=min(1000, os.getuid()),
            area=AREA,
            files=site.files,
            spool=site.directory / "spool",
        )
    )


def describe_for_minting(site: Site, issuer_url: str, key: Path, kid: str) -> None:
    """So that a new token can be had by a command of its own while the demo stays up."""
    content = mint.Recipe(issuer=issuer_url, subject=SUBJECT, audience=site.url, key=str(key), kid=kid)
    (site.directory / mint.RECIPE).write_text(json.dumps(content._asdict()))


def mint_command(site: Site) -> list[str]:
    return [sys.executable, "-I", "-m", "teapot.demo.mint", str(site.directory)]


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens now, on either loopback address; who is quick may still take one before we do."""
    found: list[int] = []
    taken: list[socket.socket] = []
    try:
        while len(found) < count:
            taken.append(socket.socket())
            taken[-1].bind(("127.0.0.1", 0))
            port = taken[-1].getsockname()[1]
            if not _has_ipv6() or _is_free_on_ipv6(port):
                found.append(port)
    finally:
        for one in taken:
            one.close()
    return found


def _has_ipv6() -> bool:
    return _is_free_on_ipv6(0)


def _is_free_on_ipv6(port: int) -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", port))
    except OSError:
        return False
    return True
