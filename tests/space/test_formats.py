"""What commands print of space: of quota(1) as the real one does, of the others in their known form; and what is no number."""

import pytest

from teapot.space.amounts import NotKnown, Space, Usage, limited
from teapot.space.formats import read

K = 1024

LFS = b"""\
Disk quotas for usr alice (uid 10001):
      Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace
         /lustre  524288  900000 1048576       -    4242       0       0       -
uid 10001 is using default file quota setting
"""
LFS_LONG_NAME_OVER = b"""\
Disk quotas for usr alice (uid 10001):
      Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace
/lustre/a/very/long/name
                 1000001*  900000 1000000 6d23h59m59s    4242       0       0       -
"""
LFS_NO_LIMIT = b"""\
Disk quotas for usr alice (uid 10001):
      Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace
         /lustre       4       0       0       -       1       0       0       -
"""
LFS_INEXACT = LFS.replace(b" 524288 ", b"[524288]")
NFS = b"""\
Disk quotas for user alice (uid 10001): 
     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
nas.example.org:/export/home    8732  100000  120000       0     312       0       0       0
"""
NFS_SOFT = NFS.replace(b"120000", b"     0")
MM_HEADER = (
    b"mmlsquota::HEADER:version:reserved:reserved:filesystemName:quotaType:id:name:blockUsage:blockQuota:blockLimit:blockInDoubt:"
    b"blockGrace:filesUsage:filesQuota:filesLimit:filesInDoubt:filesGrace:remarks:quota:defQuota:fid:filesetname:\n"
)
MM = MM_HEADER + b"mmlsquota::0:1:::gpfs0:USR:10001:alice:524288:900000:1048576:1024:none:4242:0:0:20:none::on:off:::\n"
MM_FILESETS = (
    MM_HEADER
    + b"mmlsquota::0:1:::gpfs0:USR:10001:alice:100:0:0:0:none:1:0:0:0:none::on:off:0:root:\n"
    + b"mmlsquota::0:1:::gpfs0:USR:10001:alice:800:0:1000:0:none:1:0:0:0:none::on:off:1:data:\n"
    + b"mmlsquota::0:1:::gpfs0:USR:10001:alice:100:0:500:0:none:1:0:0:0:none::on:off:2:scratch:\n"
)
MM_NO_LIMIT = MM_HEADER + b"mmlsquota::0:1:::gpfs0:USR:10001:alice:100:0:0:0:none:1:0:0:0:none::on:off:0:root:\n"


@pytest.mark.parametrize(
    ("source", "printed", "expected"),
    [
        ("lfs", LFS, Usage(524288 * K, 1048576 * K)),
        ("lfs", LFS_LONG_NAME_OVER, Usage(1000001 * K, 1000000 * K)),
        ("lfs", LFS_NO_LIMIT, Usage(4 * K, None)),
        ("nfs", NFS, Usage(8732 * K, 120000 * K)),
        ("nfs", b"Disk quotas for user alice (uid 10001): none\n", Usage(None, None)),
        ("nfs", NFS_SOFT, Usage(8732 * K, 100000 * K)),
        ("mmlsquota", MM, Usage((524288 + 1024) * K, 1048576 * K)),
        ("mmlsquota", MM_FILESETS, Usage(800 * K, 1000 * K)),
        ("mmlsquota", MM_NO_LIMIT, Usage(100 * K, None)),
        ("command", b'{"used_bytes": 5, "available_bytes": 7}\n', Space(5, 7)),
    ],
)
def test_what_a_command_prints_is_understood(source: str, printed: bytes, expected: Space | Usage) -> None:
    assert read(source, printed) == expected


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        ("lfs", b""),
        ("lfs", b"lfs quota: error: quotactl failed\n"),
        ("lfs", LFS_INEXACT),
        ("lfs", LFS.replace(b"524288", b"-24288")),
        ("lfs", LFS.replace(b"524288", b"9" * 30)),
        ("lfs", LFS.replace(b" 4242  ", b"       ")),
        ("lfs", LFS.replace(b"kbytes", b"mbytes")),
        ("lfs", LFS.replace(b"uid 10001 is", LFS.splitlines()[2] + b"\nuid 10001 is")),
        ("lfs", bytes(range(256))),
        ("nfs", b"Disk quotas for user alice (uid 10001): \n"),
        ("mmlsquota", MM_HEADER),
        ("mmlsquota", MM.replace(b":524288:", b":no limits:")),
        ("mmlsquota", MM.removeprefix(MM_HEADER)),
        ("mmlsquota", b"Block Limits | File Limits\n"),
        ("command", b""),
        ("command", b"12 13"),
        ("command", b'{"used_bytes": 5}'),
        ("command", b'{"used_bytes": -5, "available_bytes": 7}'),
        ("command", b'{"used_bytes": 5.5, "available_bytes": 7}'),
        ("command", b'{"used_bytes": 5, "available_bytes": 7, "avail": 7}'),
        ("command", b'{"used_bytes": 5, "available_bytes": 99999999999999999999999}'),
    ],
)
def test_what_is_not_understood_makes_no_number(source: str, printed: bytes) -> None:
    with pytest.raises(NotKnown):
        read(source, printed)


def test_nobody_is_told_of_more_than_the_file_system_has_left() -> None:
    assert limited(Usage(10, 1000), Space(700, 300)) == Space(700, 300)
    assert limited(Usage(None, None), Space(700, 300)) == Space(700, 300)
    assert limited(Usage(10, None), Space(700, 300)) == Space(10, 300)
    assert limited(Usage(990, 1000), Space(700, 300)) == Space(990, 10)
