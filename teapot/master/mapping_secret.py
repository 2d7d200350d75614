"""The secret by which the authority asks ALISE, read as root straight into a sealed memfd that only the authority inherits."""

import os

from common import secret_files
from common.configuration import BadConfiguration
from teapot.configuration import Mapping
from teapot.kernel import memfd
from teapot.master.service_accounts import CannotServe


def read(mapping: Mapping) -> int:
    """The API key; -1: none is needed."""
    alise = mapping.alise
    if alise is None:
        return -1
    try:
        return memfd.sealed("teapot-alise", secret_files.secret(alise.api_key_file, "mapping.alise.api_key_file").encode())
    except BadConfiguration as wrong:
        raise CannotServe(str(wrong)) from wrong


def close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
