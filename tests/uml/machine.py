"""A kernel of its own for a test: User-Mode Linux with this machine's files, read-only, as its root. Nothing of it is left on the host.

It has what the host's kernel may lack (quotas, an NFS server and client), one CPU, and no network but its loopback.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
_INIT = """\
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc; mount -t sysfs sysfs /sys
for place in /run /tmp /var/lib/nfs; do mount -t tmpfs -o mode=1777 tmpfs $place; done
chmod 755 /run
mkdir -p /dev/shm /run/modules/lib; mount -t tmpfs tmpfs /dev/shm
ln -s /usr/lib/uml/modules /run/modules/lib/modules
load() {{ modprobe -d /run/modules "$@"; }}
ip link set lo up
cd {checkout}
(
set -e
{script}
) 2>&1
echo "exit status $?"
sync
halt -f -p
"""
_LINUX = ("linux.uml", "mem=1G", "rootfstype=hostfs", "rootflags=/", "ro", "con=null", "con0=fd:0,fd:1", "quiet")


def run(directory: Path, script: str, timeout_s: float) -> str:
    """What the script says inside, as root, under `set -e`; the last line is its exit status. `load MODULE` is at hand."""
    init = directory / "init"
    init.write_text(_INIT.format(checkout=shlex.quote(str(CHECKOUT)), script=script))
    init.chmod(0o755)
    machine = subprocess.Popen(
        [*_LINUX, f"init={init}", f"umid=teapot-{os.getpid()}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"HOME": str(directory), "TMPDIR": "/dev/shm"},
        start_new_session=True,
    )
    try:
        said, _ = machine.communicate(timeout=timeout_s)
    except BaseException:
        os.killpg(machine.pid, signal.SIGKILL)
        machine.communicate()
        raise
    return said.decode(errors="replace").replace("\r", "")


def pytest_command(paths: Sequence[str], left_out: Sequence[str] = ()) -> str:
    arguments = [f"--deselect={each}" for each in left_out]
    command = [sys.executable, "-m", "pytest", "--import-mode=append", "-q", "--color=no", "-p", "no:cacheprovider", *arguments, *paths]
    return shlex.join(command)
