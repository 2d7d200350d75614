"""Starts Canaille, an identity server of its own making, as a second real provider: another language, other libraries, other habits."""

import json
import os
import shutil
import socket
import subprocess
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from alise.login.provider import Provider
from teapot.demo.certificates import CertificateAuthority
from tests.alise.providers.node_packages import cache
from tests.alise.providers.oidc_provider import free_port

_WANTED = "canaille[server,oidc,front,sqlite]==0.3.6"
_STARTS_S = 40
_CONFIGURATION = """
SECRET_KEY = "only for tests"
SERVER_NAME = "localhost:{port}"
PREFERRED_URL_SCHEME = "https"
[CANAILLE]
DATABASE = "sql"
[CANAILLE_SQL]
DATABASE_URI = "sqlite:///{folder}/canaille.db"
[CANAILLE_OIDC]
ACTIVE_JWKS = [{key}]
"""


@contextmanager
def canaille(folder: Path, name: str, alise_url: str, login: str, password: str, **settings: Any) -> Iterator[Provider]:
    authority, port = CertificateAuthority(f"CA of {name}"), free_port()
    files, ca = authority.issue(folder, name), authority.write(folder / f"{name}-ca.pem")
    provider = Provider(name, f"https://localhost:{port}", "alise", "secret", ca=str(ca), **settings)
    configuration = folder / "canaille.toml"
    configuration.write_text(_CONFIGURATION.format(port=port, folder=folder, key=_key()))
    run = _Command(configuration)
    run("install")
    run("create", "user", "--user-name", login, "--password", password, "--family-name", login.title(), "--emails", f"{login}@hpc.example")
    run("create", "client", "--client-name", "ALISE", *_client(provider, alise_url))
    run("set", "client", provider.client_id, "--audience", provider.client_id)
    process = run.started("run", "--bind", f"localhost:{port}", "--certfile", str(files.certificate), "--keyfile", str(files.key))
    try:
        _await(process, port)
        yield provider
    finally:
        process.terminate()
        process.wait(10)


class _Command:
    def __init__(self, configuration: Path) -> None:
        self._program = _installed() / "bin" / "canaille"
        self._environment = {**os.environ, "CANAILLE_CONFIG": str(configuration)}
        self._folder = configuration.parent  # it looks for its configuration there, too
        self._log = configuration.with_suffix(".log").open("a")

    def __call__(self, *arguments: str) -> None:
        assert self.started(*arguments).wait(60) == 0, self._log.name

    def started(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._all(arguments), cwd=self._folder, env=self._environment, stdout=self._log, stderr=self._log)

    def _all(self, arguments: Sequence[str]) -> list[str]:
        return [str(self._program), *arguments]


def _installed() -> Path:
    folder = cache() / "canaille-0.3.6"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", _WANTED], check=True, timeout=300)
        (folder / "complete").touch()
    return folder


def _key() -> str:
    """As TOML."""
    key = jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(public_exponent=65537, key_size=2048), as_dict=True)
    del key["key_ops"]
    members = key | {"kid": "canaille", "use": "sig", "alg": "RS256"}
    return "{" + ", ".join(f"{name} = {json.dumps(value)}" for name, value in members.items()) + "}"


def _client(provider: Provider, alise_url: str) -> list[str]:
    settings = {
        "client-id": provider.client_id,
        "client-secret": provider.client_secret,
        "redirect-uris": f"{alise_url}/oauth2/{provider.name}/token",
        "post-logout-redirect-uris": f"{alise_url}/logged-out",
        "grant-types": "authorization_code",
        "response-types": "code",
        "token-endpoint-auth-method": "client_secret_basic",
    }
    scopes = [word for scope in ("openid", "profile", "email") for word in ("--scope", scope)]
    return [word for name, value in settings.items() for word in (f"--{name}", value)] + scopes


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _STARTS_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError("the provider did not start")
