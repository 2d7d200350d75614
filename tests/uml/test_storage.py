"""The worker's files over NFS 4.2, and with a quota: the same tests as on the host's file systems, in a kernel that has these."""

from pathlib import Path

import pytest

from tests.uml import machine

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]

FILES = "tests/worker_files"
OVER_NFS = [
    f"{FILES}/test_{name}.py"
    for name in ("area", "checksum", "copying", "file_semantics", "locks", "namespace", "partial_put", "replace", "upload")
]
# Why a test says nothing over NFS : which.
NOT_OVER_NFS = {
    "Linux has no POSIX access lists over NFS 4": [
        "file_semantics.py::test_a_default_access_list_takes_the_place_of_the_umask",
        "file_semantics.py::test_what_an_access_list_gives_is_given_and_what_it_takes_is_taken",
        "replace.py::test_group_access_list_and_attributes_stay",
        "replace.py::test_a_file_without_access_list_gets_none_from_its_directory",
        *(
            f"upload.py::test_a_new_file_is_what_open_would_have_made[given-{staged}-{lists}"
            for staged in ("tmpfile", "hidden name")
            for lists in ("default ACL", "both")
        ),
    ],
    "its client keeps for a while what it was told of a group's access": ["file_semantics.py::test_a_group_opens_what_it_may_open"],
    "a directory cannot be locked: names still change atomically": ["upload.py::test_a_directory_locked_by_another_process_is_waited_for"],
    "there is no O_TMPFILE: what is being written has a hidden name": [
        "upload.py::test_a_worker_killed_in_the_middle_leaves_the_old_content_and_nothing_else[given-tmpfile",
        "file_semantics.py::test_a_directory_that_goes_while_a_file_is_put_into_it_takes_nothing",
    ],
    "its server has room for every attribute": ["replace.py::test_an_attribute_that_does_not_fit_refuses_rather_than_gets_lost"],
}
_NFS = """\
load loop; load nfsd; load nfsv4
mkdir -p /var/lib/nfs/v4recovery /run/export /run/storage
touch /var/lib/nfs/etab /var/lib/nfs/rmtab
mount -t nfsd nfsd /proc/fs/nfsd
truncate -s 400M /tmp/image; mkfs.ext4 -q -m 0 /tmp/image; mount -o loop /tmp/image /run/export
exportfs -o rw,no_root_squash,fsid=0,insecure 127.0.0.1:/run/export
rpc.mountd -N 2 -N 3; rpc.nfsd -N 3 4
mount -t nfs4 -o vers=4.2 127.0.0.1:/ /run/storage
chmod 755 /run/storage
export TEAPOT_TEST_STORAGE=/run/storage
"""
_QUOTA = """\
load loop; load quota_v2
mkdir /run/quota
truncate -s 64M /tmp/image; mkfs.ext4 -q -m 0 -O quota /tmp/image; mount -o loop,usrquota /tmp/image /run/quota
export TEAPOT_TEST_QUOTA=/run/quota
"""
_QUOTAS = """\
load loop; load quota_v2
mkdir /run/quota
truncate -s 64M /tmp/image; mkfs.ext4 -q -m 0 -O quota,project -E quotatype=usrquota:grpquota:prjquota /tmp/image
mount -o loop,usrquota,grpquota,prjquota /tmp/image /run/quota
export TEAPOT_TEST_QUOTA=/run/quota
"""


def test_files_are_the_same_over_nfs(root: None, tmp_path: Path) -> None:
    left_out = [f"{FILES}/test_{name}" for names in NOT_OVER_NFS.values() for name in names]
    said = machine.run(tmp_path, _NFS + machine.pytest_command(OVER_NFS, left_out), timeout_s=800)
    assert "exit status 0\n" in said.splitlines(keepends=True)[-5:], said
    assert " passed" in said


def test_a_quota_is_told_as_a_quota_at_every_step(root: None, tmp_path: Path) -> None:
    said = machine.run(tmp_path, _QUOTA + machine.pytest_command([f"{FILES}/test_full_storage.py"]), timeout_s=400)
    assert "exit status 0\n" in said.splitlines(keepends=True)[-5:], said
    assert " passed" in said


def test_quotas_of_users_groups_and_projects_are_told_and_named(root: None, tmp_path: Path) -> None:
    said = machine.run(tmp_path, _QUOTAS + machine.pytest_command(["tests/space/with_real_quotas.py"]), timeout_s=300)
    assert "exit status 0\n" in said.splitlines(keepends=True)[-5:], said
    assert " passed" in said
