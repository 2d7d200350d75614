"""Apache with mod_dav, as Debian has it: a peer to compare with. Its own configuration, loopback only, as nobody."""

import os
import pwd
import subprocess
from pathlib import Path

from teapot.demo.site import free_ports
from tests.service import clients
from tests.service.clients import Answer
from tests.service.teapot_process import wait_for

_MODULES = ("mpm_event", "authz_core", "mime", "dir", "autoindex", "dav", "dav_fs", "dav_lock")
_CONFIGURATION = """\
ServerRoot "{directory}"
ServerName localhost
Listen 127.0.0.1:{port}
PidFile "{directory}/pid"
ErrorLog "{directory}/error.log"
LogLevel warn
{modules}
StartServers 1
ThreadsPerChild 8
MaxRequestWorkers 8
TypesConfig /dev/null
AddType text/plain;charset=utf-8 .txt
DocumentRoot "{root}"
DavLockDB "{directory}/locks"
DavLockDiscovery on
KeepAlive On
MaxKeepAliveRequests 0
AllowEncodedSlashes NoDecode
<Directory "{root}">
    Dav On
    Options Indexes
    DirectorySlash Off
    FileETag INode MTime Size
    Require all granted
</Directory>
"""


class Apache:
    """`folder` holds what it serves at /."""

    def __init__(self, directory: Path) -> None:
        nobody = pwd.getpwnam("nobody")
        self.uid, self.gid = nobody.pw_uid, nobody.pw_gid
        self.folder = directory / "files"
        self.folder.mkdir()
        self._log = directory / "error.log"
        (self.port,) = free_ports(1)
        modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in _MODULES)
        configuration = directory / "apache.conf"
        configuration.write_text(_CONFIGURATION.format(directory=directory, port=self.port, modules=modules, root=self.folder))
        for path in (directory, self.folder):
            os.chown(path, self.uid, self.gid)
        command = ["/usr/sbin/apache2", "-D", "FOREGROUND", "-f", configuration]
        self._process = subprocess.Popen(
            command, user=self.uid, group=self.gid, extra_groups=(), cwd="/", env={}, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for(self._answers, 10, lambda: f"Apache does not answer: {self.log()}")
        except BaseException:
            self.stop()
            raise

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def request(self, method: str, target: str) -> Answer:
        return clients.request(None, self.port, method, target)

    def _answers(self) -> bool:
        assert self._process.poll() is None, f"Apache has ended: {self.log()}"
        try:
            return self.request("OPTIONS", "/").status == 200
        except OSError:
            return False
