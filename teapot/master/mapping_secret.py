"""The secret by which the authority asks ALISE, read as root straight into a sealed memfd that only the authority inherits."""

import os

from common import secret_files
from common.configuration import BadConfiguration
from teapot.configuration import Mapping
from teapot.kernel import memfd
from teapot.master.service_accounts import CannotServe


def read(mapping: Mapping) -> int:
    """The API key, or the URL of the database; -1: none is needed."""
    alise = mapping.alise
    if alise is None:
        return -1
    key = "database_url_file" if alise.database_url_file else "api_key_file"
    try:
        return memfd.sealed("teapot-alise", secret_files.secret(getattr(alise, key), f"mapping.alise.{key}").encode())
    except BadConfiguration as wrong:
        raise CannotServe(str(wrong)) from wrong


def close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
