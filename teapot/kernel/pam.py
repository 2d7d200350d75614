"""libpam's account phase (pam_acct_mgmt): do the site's rules let this account in at present?

It loads the site's PAM modules into the calling process. So only a process asks that has given up everything, knows no secret and
is about to end (spawner/account_phase.py); others look at most whether the service's file is there.
"""

import ctypes
import os
from types import MappingProxyType

# Here a missing file is an error; libpam itself would go on with the rules of "other", which permit on some systems.
_FOLDERS = ("/etc/pam.d", "/usr/lib/pam.d")
_PAM_TTY, _PAM_SILENT = 3, 0x8000
_TTY = b"teapot"  # pam_access and pam_time want one; sshd says "ssh"

PERMITTED = 0
NO_SERVICE_FILE = 100  # ours
# What says something of the account. Any other status says that PAM, a module or a directory does not work.
REFUSALS = MappingProxyType(
    {
        6: "permission denied",
        7: "not authenticated",
        10: "the account is unknown",
        12: "the password has expired",
        13: "the account has expired",
    }
)


class _Conversation(ctypes.Structure):
    _fields_ = [("function", ctypes.c_void_p), ("data", ctypes.c_void_p)]


def service_file(service: str) -> str:
    """Its path, or "" where there is none."""
    paths = (os.path.join(folder, service) for folder in _FOLDERS)
    return next((path for path in paths if os.path.isfile(path)), "")


def account_phase(service: str, account: str) -> int:
    """The status of pam_acct_mgmt. May take for ever: a directory may hang. The handle is not ended: the process is."""
    if not service_file(service):
        return NO_SERVICE_FILE
    libpam, handle = ctypes.CDLL("libpam.so.0"), ctypes.c_void_p()
    conversation = _Conversation(_says_nothing(), None)
    status = libpam.pam_start(service.encode(), account.encode(), ctypes.byref(conversation), ctypes.byref(handle))
    if status == PERMITTED:
        status = libpam.pam_set_item(handle, _PAM_TTY, ctypes.c_char_p(_TTY))
    return int(status or libpam.pam_acct_mgmt(handle, _PAM_SILENT))


def _says_nothing() -> int | None:
    """libpam_misc's: it talks to standard input and output, which are /dev/null. A callback of ours would need executable memory."""
    return ctypes.cast(ctypes.CDLL("libpam_misc.so.0").misc_conv, ctypes.c_void_p).value
