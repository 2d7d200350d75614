"""The secrets by which the authority asks ALISE and issuers, read as root straight into a sealed memfd that only the authority inherits."""

import os

import msgspec

from common import secret_files
from common.configuration import BadConfiguration
from teapot.channel.start import AuthoritySecrets
from teapot.configuration import Configuration, Mapping
from teapot.kernel import memfd
from teapot.master.service_accounts import CannotServe


def read(configuration: Configuration) -> int:
    """A memfd, also when no secret is needed. CannotServe when one cannot be read."""
    try:
        issuers = {
            issuer.url: secret_files.secret(issuer.client_secret_file, f"issuer[{number}].client_secret_file")
            for number, issuer in enumerate(configuration.issuer)
            if issuer.client_secret_file
        }
        secrets = AuthoritySecrets(alise=_of_alise(configuration.mapping), issuers=issuers)
    except BadConfiguration as wrong:
        raise CannotServe(str(wrong)) from wrong
    return memfd.sealed("teapot-secrets", msgspec.json.encode(secrets))


def _of_alise(mapping: Mapping) -> str:
    alise = mapping.alise
    if alise is None:
        return ""
    key = "database_url_file" if alise.database_url_file else "api_key_file"
    return secret_files.secret(getattr(alise, key), f"mapping.alise.{key}")


def close(descriptor: int) -> None:
    os.close(descriptor)
