"""What alise.toml may say, as frozen types; the defaults stand here and nowhere else.

Read by the command line (common/configuration.py finds, merges and checks the files) and passed down. Nothing in here touches a file or
the network. Every duration ends in _s and is in seconds.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

_YEAR_S = 366 * 86400

Seconds = Annotated[float, Meta(gt=0, le=_YEAR_S, description="a number above 0, at most a year")]
Count = Annotated[int, Meta(ge=1, le=1_000_000, description="an integer from 1 to 1000000")]
Days = Annotated[int, Meta(ge=1, le=3660, description="an integer from 1 to 3660")]
ProviderName = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", description="a name of at most 63 lower-case letters, digits, '.', '_' and '-'"),
]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration file; a key that it does not name is refused."""


class Server(Section, frozen=True, kw_only=True):
    public_url: str  # scheme, host and port that browsers and services use; addresses are made of it, never of what a request says
    listen: tuple[str, ...] = ("[::]:8445",)
    tls_certificate: str = ""
    tls_key: str = ""
    trusted_proxies: tuple[str, ...] = ()  # networks whose X-Forwarded-For is believed
    operator: str = ""  # who runs this, for people to read; empty: the host of public_url
    contact: str = ""  # whom people write to
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    shutdown_timeout_s: Seconds = 10.0
    failures_per_minute: Count = 30  # wrong keys and refused logins of one client address, before it has to wait
    logins_per_minute: Count = 60  # logins that one client address may begin


class Database(Section, frozen=True, kw_only=True):
    """One of the two; neither: a file in systemd's state directory."""

    url: str = ""
    url_file: str = ""


class Trust(Section, frozen=True, kw_only=True):
    ca: str = "system"


class Api(Section, frozen=True, kw_only=True):
    v1: bool = True  # the paths of ALISE 1
    v1_all_identities: bool = True  # a v1 answer names all identities of the account, as the first Teapot needs it; else the asked one
    key_lifetime_days: Days = 365


class Provider(Section, frozen=True, kw_only=True):
    name: ProviderName
    issuer: str  # exactly as in its ID tokens
    client_id: str
    client_secret_file: str
    internal: bool = False
    title: str = ""
    username_claim: str = "sub"
    username_pattern: str = r"[a-z_][a-z0-9_.-]{0,31}"  # of the whole name
    denied_usernames: tuple[str, ...] = ("root", "nobody", "daemon", "bin", "sys", "adm")
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    ca: str = ""  # a file; empty: as trust.ca
    fresh_by: Literal["prompt", "max_age", "select"] = "prompt"
    admin_claim: str = ""
    admin_values: tuple[str, ...] = ()  # who may obtain API keys by a token of this provider


class Configuration(Section, frozen=True, kw_only=True):
    server: Server
    database: Database = field(default_factory=Database)
    trust: Trust = field(default_factory=Trust)
    api: Api = field(default_factory=Api)
    provider: tuple[Provider, ...]

    def site_names(self) -> list[str]:
        return [each.name for each in self.sites()]

    def issuers(self) -> list[str]:
        return [each.issuer for each in self.provider]

    def sites(self) -> tuple[Provider, ...]:
        return tuple(each for each in self.provider if each.internal)
