"""Clients of a Teapot: curl as a process, http.client for many small requests, a bare TLS connection for what no client would send."""

import http.client
import json
import os
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

TIMEOUT_S = 30.0


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The members of an RFC 9457 body."""
        assert self.headers.get("content-type", "").startswith("application/problem+json"), self
        return dict(json.loads(self.body))

    @property
    def code(self) -> str:
        return str(self.problem["code"])


class CurlAnswer(NamedTuple):
    exit_status: int
    status: int  # 0: no answer
    headers: Mapping[str, str]
    body: bytes
    error: str


def curl(ca: Path, *arguments: str | Path, token: str | None = None, timeout_s: float = TIMEOUT_S) -> CurlAnswer:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        command = ["curl", *curl_arguments(ca, directory, token), "-w", "%{http_code}"]
        command += ["-D", directory / "head", "-o", directory / "body", *arguments]
        done = subprocess.run(command, capture_output=True, timeout=timeout_s, env=direct_environment())
        return CurlAnswer(
            done.returncode,
            int(done.stdout or 0),
            _last_head(_content(directory / "head")),
            _content(directory / "body"),
            done.stderr.decode(errors="replace"),
        )


def curl_arguments(ca: Path, directory: Path, token: str | None) -> list[str | Path]:
    """The token goes by a file of ours, as people are told to do it: a command line can be read by everybody."""
    arguments: list[str | Path] = ["-sS", "--cacert", ca]
    if token is not None:
        header = directory / "authorization"
        descriptor = os.open(header, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"Authorization: Bearer {token}\n")
        arguments += ["-H", f"@{header}"]
    return arguments


def direct_environment() -> dict[str, str]:
    """Ours without proxies: the services of a test are all on this machine."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def request(
    context: ssl.SSLContext | None,
    port: int,
    method: str,
    target: str,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """One request on a connection of its own. `target` goes out as it is, with nothing encoded or resolved."""
    connection = (
        http.client.HTTPSConnection("localhost", port, context=context, timeout=timeout_s)
        if context
        else http.client.HTTPConnection("localhost", port, timeout=timeout_s)
    )
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        fields = dict(headers or {})
        if token is not None:
            fields["Authorization"] = f"Bearer {token}"
        if body is not None and not {"content-length", "transfer-encoding"} & {name.lower() for name in fields}:
            fields["Content-Length"] = str(len(body))
        for name, value in fields.items():
            connection.putheader(name, value)
        connection.endheaders()
        if body:
            connection.send(body)
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def connect(context: ssl.SSLContext, port: int, timeout_s: float = TIMEOUT_S) -> ssl.SSLSocket:
    plain = socket.create_connection(("localhost", port), timeout_s)
    return context.wrap_socket(plain, server_hostname="localhost")


def say(context: ssl.SSLContext, port: int, data: bytes, timeout_s: float = 10.0) -> bytes:
    """Everything that comes back until the server closes, or stays silent for a second after it has begun to answer."""
    with connect(context, port, timeout_s) as connection:
        connection.sendall(data)
        heard = b""
        try:
            while piece := connection.recv(65536):
                heard += piece
                connection.settimeout(1.0)
        except (TimeoutError, ConnectionError):
            pass
        return heard


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _last_head(text: bytes) -> dict[str, str]:
    """Of the final answer: there may be a 100 (Continue) before it."""
    heads = [head for head in text.decode("latin-1").split("\r\n\r\n") if head.strip()]
    fields = [line.partition(":") for line in heads[-1].split("\r\n")[1:]] if heads else []
    return {name.lower(): value.strip() for name, _, value in fields}
