"""The demo's site: a directory with certificates, keys, a teapot.toml and an alise.toml to read and change, and a folder for the files."""

import json
import os
import pwd
import secrets
import socket
import sys
from pathlib import Path
from typing import NamedTuple

from teapot.demo import mint
from teapot.demo.certificates import CertificateAuthority, ServerFiles
from teapot.demo.login_provider import Client

SUBJECT = "0c5d2f6e-demo-user"
AREA = "/demo"
NAME, FEDERATION = "centre", "federation"  # of the providers in ALISE; the first is the site's name
CLIENT = "alise"  # ALISE at both of them

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
methods = ["alise"]             # who has which account, people say themselves
[mapping.alise]
url = "{alise}"
site = "{site}"
api_key_file = "{key}"

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


_ALISE = """\
[server]
public_url = "{alise}"
listen = ["127.0.0.1:{port}"]
tls_certificate = "{tls.certificate}"
tls_key = "{tls.key}"
operator = "Demo computing centre"

[database]
url = "sqlite+aiosqlite:///{directory}/alise.db"

[trust]
ca = "{ca}"

[[provider]]                    # where people of the site log in with their local accounts
name = "{site}"
title = "Demo computing centre"
issuer = "{login}"
client_id = "{client}"
client_secret_file = "{secret}"
internal = true
username_claim = "preferred_username"
username_pattern = '[^/\\s]+'

[[provider]]                    # where they log in everywhere else
name = "federation"
title = "Demo federation"
issuer = "{issuer}"
client_id = "{client}"
client_secret_file = "{secret}"
"""


class Site(NamedTuple):
    directory: Path
    ca: Path
    issuer_files: ServerFiles
    teapot_files: ServerFiles
    alise_files: ServerFiles
    port: int
    admin_port: int
    alise_port: int

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def alise_url(self) -> str:
        return f"https://localhost:{self.alise_port}"

    @property
    def configuration(self) -> Path:
        return self.directory / "teapot.toml"

    @property
    def alise_configuration(self) -> Path:
        return self.directory / "alise.toml"

    @property
    def alise_key(self) -> Path:
        """By which Teapot asks ALISE."""
        return self.directory / "teapot-at-alise.secret"

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
    issuer, teapot, alise = (authority.issue(directory, name) for name in ("issuer", "teapot", "alise"))
    site = Site(directory, ca, issuer, teapot, alise, *free_ports(3))
    site.files.mkdir()
    (directory / "spool").mkdir(mode=0o700)
    return site


def configure_alise(site: Site, login_url: str, issuer_url: str) -> Client:
    """As what ALISE is registered at both providers."""
    client = Client(secrets.token_urlsafe(), tuple(f"{site.alise_url}/oauth2/{name}/token" for name in (NAME, FEDERATION)))
    secret = site.directory / "alise-client.secret"
    write_secret(secret, client.secret)
    site.alise_configuration.write_text(
        _ALISE.format(
            alise=site.alise_url,
            port=site.alise_port,
            tls=site.alise_files,
            directory=site.directory,
            ca=site.ca,
            site=NAME,
            login=login_url,
            issuer=issuer_url,
            client=CLIENT,
            secret=secret,
        )
    )
    return client


def write_secret(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"{text}\n")


def account() -> str:
    """Whose demo it is."""
    return pwd.getpwuid(os.getuid()).pw_name


def configure(site: Site, issuer_url: str) -> None:
    listen = [f"127.0.0.1:{site.port}", *([f"[::1]:{site.port}"] if _has_ipv6() else [])]
    site.configuration.write_text(
        _CONFIGURATION.format(
            port=site.port,
            listen=", ".join(map(json.dumps, listen)),
            tls=site.teapot_files,
            admin_port=site.admin_port,
            ca=site.ca,
            issuer=issuer_url,
            alise=site.alise_url,
            site=NAME,
            key=site.alise_key,
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
