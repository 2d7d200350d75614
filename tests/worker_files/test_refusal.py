"""Whatever the kernel says becomes a problem that the gateway can tell."""

import errno

import pytest

from teapot.channel.problems import PROBLEMS
from teapot.worker.refusal import OF_ERRNO, refusal_of

STATUS = {
    errno.ENOENT: 404,
    errno.EACCES: 403,
    errno.EPERM: 403,
    errno.EXDEV: 403,
    errno.ELOOP: 403,
    errno.EROFS: 403,
    errno.ENOSPC: 507,
    errno.EDQUOT: 507,
    errno.EFBIG: 413,
    errno.ENAMETOOLONG: 414,
    errno.ENOTDIR: 409,
    errno.EISDIR: 405,
    errno.EEXIST: 405,
    errno.ENOTEMPTY: 409,
    errno.EBUSY: 423,
    errno.ETXTBSY: 423,
    errno.EINVAL: 400,
    errno.EILSEQ: 400,
    errno.EIO: 500,
    errno.ESTALE: 500,
    errno.EMFILE: 503,
    errno.ENOMEM: 503,
}


@pytest.mark.parametrize("number", sorted(errno.errorcode), ids=lambda number: errno.errorcode[number])
def test_every_error_of_the_kernel_is_a_known_problem_and_is_named_in_the_log(number: int) -> None:
    refusal = refusal_of(OSError(number, "text", "/home/alice/secret name"))
    assert refusal.problem in PROBLEMS
    assert errno.errorcode[number] in refusal.detail and "secret name" not in refusal.detail


@pytest.mark.parametrize("number", sorted(STATUS), ids=lambda number: errno.errorcode[number])
def test_the_client_gets_the_status_that_its_tools_understand(number: int) -> None:
    assert PROBLEMS[refusal_of(OSError(number, "text")).problem].status == STATUS[number]


def test_a_call_may_give_an_error_a_meaning_of_its_own() -> None:
    assert refusal_of(OSError(errno.ENOENT, "text"), {errno.ENOENT: "parent_missing"}).problem == "parent_missing"
    assert refusal_of(OSError(errno.EIO, "text"), {errno.ENOENT: "parent_missing"}).problem == "storage_error"
    assert refusal_of(OSError("no number")).problem == "storage_error"


def test_the_table_names_problems_that_exist() -> None:
    assert set(OF_ERRNO.values()) <= set(PROBLEMS)
