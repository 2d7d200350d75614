"""Why a request cannot be carried out: a code of channel/problems.py, and for the log what the kernel said."""

import errno

_OF_ERRNO = {
    errno.ENOENT: "not_found",
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.EXDEV: "leaves_area",
    errno.ELOOP: "leaves_area",
    errno.ENOTDIR: "is_file",
    errno.EISDIR: "is_collection",
    errno.EEXIST: "already_exists",
    errno.ENOTEMPTY: "collection_not_empty",
    errno.ENOSPC: "no_space",
    errno.EDQUOT: "quota_exceeded",
    errno.EFBIG: "file_too_large",
    errno.ENAMETOOLONG: "name_too_long",
    errno.EINVAL: "name_refused",
    errno.EILSEQ: "name_refused",
    errno.EROFS: "storage_read_only",
    errno.EBUSY: "busy",
    errno.ETXTBSY: "busy",
    errno.EMLINK: "cannot_replace",
    errno.ENXIO: "not_a_file",
    errno.ENODEV: "not_a_file",
    errno.ESTALE: "storage_error",
    errno.EIO: "storage_error",
}


class Refusal(Exception):
    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(problem, detail)
        self.problem = problem
        self.detail = detail


def refusal_of(error: OSError) -> Refusal:
    """Errors that no table foresees are the storage's."""
    return Refusal(_OF_ERRNO.get(error.errno or 0, "storage_error"), f"{errno.errorcode.get(error.errno or 0, '?')}: {error.strerror}")
