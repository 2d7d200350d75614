"""Starts npm oidc-provider as a process of its own: real logins, with the accounts that a test names."""

import json
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from alise.login.provider import Provider
from teapot.demo.certificates import CertificateAuthority
from tests.alise.providers.node_packages import node_packages

_SERVER = Path(__file__).with_name("server.mjs")
_STARTS_S = 30


@dataclass(frozen=True)
class RunningProvider:
    provider: Provider
    process: subprocess.Popen[str]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def oidc_provider(
    folder: Path, name: str, alise_url: str, accounts: Mapping[str, Mapping[str, Any]], **settings: Any
) -> Iterator[RunningProvider]:
    """Each has a certificate authority of its own: trust in one is no trust in the other. Its files stay in `folder`."""
    authority = CertificateAuthority(f"CA of {name}")
    files, port = authority.issue(folder, name), free_port()
    ca = authority.write(folder / f"{name}-ca.pem")
    provider = Provider(
        name=name,
        issuer=f"https://localhost:{port}",
        client_id=f"alise-at-{name}",
        client_secret=f"secret of {name}: 1+1=2",
        ca=str(ca),
        **settings,
    )
    description = folder / f"{name}.json"
    description.write_text(json.dumps({**_description(provider, alise_url, accounts), "port": port,
                                       "certificate": str(files.certificate), "key": str(files.key)}))
    process = subprocess.Popen(
        ["node", str(_SERVER), str(node_packages()), str(description)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=(folder / f"{name}.log").open("w"), text=True,
    )
    try:
        _await_ready(process, folder / f"{name}.log")
        yield RunningProvider(provider, process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            pipe.close()  # type: ignore[union-attr]


def _description(provider: Provider, alise_url: str, accounts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True)
    del jwk["key_ops"]  # a public key with "sign" is none that verifies
    jwk |= {"use": "sig", "alg": "RS256", "kid": provider.name}
    return {
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "client_secret": provider.client_secret,
        "redirect_uri": f"{alise_url}/oauth2/{provider.name}/token",
        "after_logout": f"{alise_url}/logged-out",
        "accounts": accounts,
        "jwks": {"keys": [jwk]},
    }


def _await_ready(process: subprocess.Popen[str], log: Path) -> None:
    assert process.stdout is not None
    line = process.stdout.readline()  # ends with the process
    assert line.strip() == "ready", f"the provider did not start: {log.read_text()[-2000:]}"
