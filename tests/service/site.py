"""A site for whole-service tests: who there is, where the files lie, and the teapot.toml for it."""

from pathlib import Path
from typing import NamedTuple

from teapot.demo.certificates import ServerFiles
from teapot.demo.issuer import Issuer
from tests.service import toml
from tests.service.accounts import Account

ALICE = "alice-5e1f"  # subjects of the first issuer
BOB = "bob-77aa"
NOBODY = "nobody-0000"  # mapped to no account


class Site(NamedTuple):
    directory: Path
    alice: Account
    bob: Account
    vo_demo: Account
    visitor: Account
    service_accounts: dict[str, Account]
    issuer: Issuer
    second_issuer: Issuer
    ca: Path
    server_files: ServerFiles

    def home_of(self, account: Account) -> Path:
        """What /home is for this person."""
        return account.home / "data"

    @property
    def vo(self) -> Path:
        return self.directory / "vo"

    @property
    def public(self) -> Path:
        return self.directory / "public"

    @property
    def shared(self) -> Path:
        """Everybody may create there, as in /tmp."""
        return self.directory / "shared"

    @property
    def users(self) -> Path:
        return self.directory / "users.map"


def tables(site: Site, directory: Path) -> toml.Tables:
    return {
        "server": {
            "tls_certificate": site.server_files.certificate,
            "tls_key": site.server_files.key,
            "processes": 2,
            "shutdown_timeout_s": 10.0,
            **{key: account.name for key, account in site.service_accounts.items()},
        },
        "trust": {"ca": site.ca},
        "issuer": [
            {"url": site.issuer.url, "profile": "wlcg"},
            {"url": site.second_issuer.url, "profile": "identity"},
        ],
        "mapping": {"methods": ["file"], "file": {"path": site.users}},
        "storage_area": [
            {"name": "home", "path": "/home", "root": "{home}/data"},
            {"name": "vo", "path": "/vo", "root": site.vo, "account": site.vo_demo.name, "issuers": [site.issuer.url]},
            {
                "name": "public",
                "path": "/public",
                "root": site.public,
                "account": site.vo_demo.name,
                "anonymous_account": site.visitor.name,
                "umask": "0022",
            },
            {"name": "shared", "path": "/shared", "root": site.shared},
            {"name": "missing", "path": "/missing", "root": site.directory / "missing"},
        ],
        "worker": {"spool": directory / "spool"},
    }
