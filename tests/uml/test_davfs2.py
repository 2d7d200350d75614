"""davfs2, a whole Teapot and a kernel of their own. /etc is a copy, for the service's accounts; files are on ext4, for locks."""

from pathlib import Path

import pytest

from tests.uml import machine

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]

_FUSE = """\
load fuse; load ipv6; load loop
mkdir /run/etc; cp -a /etc/. /run/etc; mount --bind /run/etc /etc
mount -t tmpfs -o mode=775,gid=$(getent group davfs2 | cut -d: -f3) tmpfs /var/cache/davfs2
truncate -s 400M /tmp/image; mkfs.ext4 -q -m 0 /tmp/image; mkdir /run/files; mount -o loop /tmp/image /run/files
export TMPDIR=/run/files
ln -sf /proc/self/mounts /etc/mtab
"""


def test_files_are_copied_in_read_renamed_and_deleted_with_davfs2(root: None, tmp_path: Path) -> None:
    said = machine.run(tmp_path, _FUSE + machine.pytest_command(["tests/end_to_end/mounted_with_davfs2.py"]), timeout_s=240)
    assert "exit status 0\n" in said.splitlines(keepends=True)[-5:], said
    assert "3 passed" in said, said
