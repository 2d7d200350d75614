"""Why a request cannot be carried out: a code of channel/problems.py, and for the log what the kernel said."""

import contextlib
import errno
from collections.abc import Iterator, Mapping

OF_ERRNO: Mapping[int, str] = {
    errno.ENOENT: "not_found",
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.ENOKEY: "permission_denied",  # Kerberos tickets of a network file system, an encrypted home
    errno.EKEYEXPIRED: "permission_denied",
    errno.EKEYREVOKED: "permission_denied",
    errno.EKEYREJECTED: "permission_denied",
    errno.EXDEV: "leaves_area",  # of openat2; a rename that says so is not answered from here
    errno.ELOOP: "leaves_area",
    errno.ENOTDIR: "is_file",
    errno.EISDIR: "is_collection",
    errno.EEXIST: "already_exists",
    errno.ENOTEMPTY: "collection_not_empty",
    errno.ENXIO: "not_a_file",
    errno.ENODEV: "not_a_file",
    errno.ENOSPC: "no_space",
    errno.EMLINK: "no_space",  # a collection can take no further collections
    errno.EDQUOT: "quota_exceeded",
    errno.EFBIG: "file_too_large",
    errno.EOVERFLOW: "file_too_large",
    errno.ENAMETOOLONG: "name_too_long",
    errno.EINVAL: "name_refused",
    errno.EILSEQ: "name_refused",
    errno.EROFS: "storage_read_only",
    errno.EBUSY: "busy",
    errno.ETXTBSY: "busy",
    errno.EAGAIN: "busy",
    errno.EDEADLK: "busy",
    errno.EMFILE: "worker_busy",  # limits of this process, not of the storage
    errno.ENOMEM: "worker_busy",
    errno.ESTALE: "storage_error",
    errno.EIO: "storage_error",
}


class Refusal(Exception):
    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(problem, detail)
        self.problem = problem
        self.detail = detail
        self.fields: list[tuple[bytes, bytes]] = []  # that the answer is to have


class RangeRefusal(Refusal):
    """416 names the size, so that a client can ask again."""

    def __init__(self, size: int) -> None:
        super().__init__("range_not_satisfiable")
        self.fields = [(b"content-range", b"bytes */%d" % size)]


def refusal_of(error: OSError, meaning: Mapping[int, str] | None = None) -> Refusal:
    """`meaning`: what some errors mean for this very call. Those that no table foresees are the storage's."""
    number = error.errno or 0
    problem = (meaning or {}).get(number) or OF_ERRNO.get(number, "storage_error")
    return Refusal(problem, f"{errno.errorcode.get(number, number)}: {error.strerror}")


@contextlib.contextmanager
def refusing(meaning: Mapping[int, str] | None = None) -> Iterator[None]:
    """Around calls whose errors all mean the same to the client."""
    try:
        yield
    except OSError as error:
        raise refusal_of(error, meaning) from error
