"""A process's own face: its title in ps, and how its log lines look. Every process calls `present` first of all."""

import logging
import sys

import setproctitle

from teapot.kernel import credentials


def present(role: str, account: str, log_level: str) -> None:
    """Title "teapot: ROLE [ACCOUNT]", log lines to standard error, closed to debuggers of the same account."""
    set_title(role, account)
    credentials.not_dumpable()
    logging.basicConfig(stream=sys.stderr, level=log_level.upper(), format=f"%(levelname)s {role}: %(message)s", force=True)


def set_title(role: str, account: str) -> None:
    setproctitle.setproctitle(f"teapot: {role} [{account}]")
