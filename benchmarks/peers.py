"""The servers that Teapot is compared with, as Debian ships them: nginx (plain and TLS) and XRootD with its HTTP plug-in.

Both serve the same folder as Teapot, to anybody, without a token: what they leave out is in their favour.
"""

import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from teapot.demo.certificates import ServerFiles
from tests.service.accounts import Account

_NGINX = """\
daemon off; user {user} {user}; worker_processes 2; pid {run}/nginx.pid; error_log {run}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; client_max_body_size 0; client_body_temp_path {run}/body;
  keepalive_requests 100000000; root {files}; autoindex on;
  proxy_temp_path {run}/a; fastcgi_temp_path {run}/b; uwsgi_temp_path {run}/c; scgi_temp_path {run}/d;
  server {{ listen 127.0.0.1:{copying_port}; sendfile off; }}
  server {{
    listen 127.0.0.1:{port}; listen 127.0.0.1:{tls_port} ssl;
    ssl_certificate {tls.certificate}; ssl_certificate_key {tls.key}; ssl_protocols TLSv1.2 TLSv1.3;
    location / {{ dav_methods PUT DELETE; }}
  }}
}}
"""
_XROOTD = """\
all.export /
all.adminpath {run}
all.pidpath {run}
oss.localroot {files}
xrd.port {native_port}
xrd.protocol http:{port} libXrdHttp.so
http.listingdeny no
"""


class Peer:
    """`with Peer(...)`: runs until the end of the block."""

    def __init__(self, command: list[str], port: int, log: Path) -> None:
        self.port = port
        self._command, self._log = command, log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        deadline = time.monotonic() + 10
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.__exit__(None, None, None)
                raise RuntimeError(f"{self._command[0]} does not serve:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/small", timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False


def nginx(run: Path, files: Path, account: Account, tls: ServerFiles, port: int, tls_port: int, copying_port: int) -> Peer:
    """`copying_port`: with sendfile off, which is what nginx does unless its configuration says otherwise (Debian's says otherwise)."""
    configuration = run / "nginx.conf"
    ports = {"port": port, "tls_port": tls_port, "copying_port": copying_port}
    configuration.write_text(_NGINX.format(run=run, files=files, user=account.name, tls=tls, **ports))
    return Peer(["/usr/sbin/nginx", "-c", str(configuration), "-e", str(run / "error.log")], port, run / "nginx.out")


def xrootd(run: Path, files: Path, account: Account, port: int, native_port: int) -> Peer:
    configuration = run / "xrootd.cfg"
    configuration.write_text(_XROOTD.format(run=run, files=files, port=port, native_port=native_port))
    return Peer(["/usr/bin/xrootd", "-R", account.name, "-c", str(configuration), "-l", str(run / "xrootd.log")], port, run / "xrootd.out")
