"""What teapot.toml may say, as frozen types; the defaults stand here and nowhere else.

Read once by the master (common/configuration.py finds, merges and checks the files) and passed down to each process
as the part that this process needs (see channel/start.py). Nothing in here touches a file or the network.

Every duration ends in _s and is in seconds, every size in _bytes. A type's description is what an admin reads who set it wrongly.
"""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field
from msgspec.structs import replace

_YEAR_S = 366 * 86400
_LARGEST = (1 << 31) - 1

NoOrSomeSeconds = Annotated[float, Meta(ge=0, le=_YEAR_S, description="a number, 0 or more, at most a year")]
LookUpSeconds = Annotated[float, Meta(gt=0, le=5, description="a number above 0, at most 5")]
CommandSeconds = Annotated[float, Meta(gt=0, le=30, description="a number above 0, at most 30")]
Processes = Annotated[int, Meta(ge=0, le=256, description="an integer from 0 to 256")]
Positive = Annotated[int, Meta(ge=1, le=_LARGEST, description="an integer, 1 or more")]
OpenFiles = Annotated[int, Meta(ge=64, le=_LARGEST, description="an integer, 64 or more")]
MemoryBytes = Annotated[int, Meta(ge=64 << 20, le=1 << 62, description="an integer, 67108864 (64 MiB) or more")]
Seconds = Annotated[float, Meta(gt=0, le=_YEAR_S, description="a number above 0, at most a year")]
Name = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="a name of at most 64 letters, digits, '.', '_' and '-'")
]
OctalMode = Annotated[str, Meta(pattern=r"^0?[0-7]{3}$", description='an octal mode in quotes, as in "0027"')]
DirectoryMode = Annotated[str, Meta(pattern=r"^(0?[0-7]{3,4})?$", description='an octal mode in quotes, as in "2770", or ""')]
AreaAccount = Annotated[str, Meta(description='"identity", "vo" or the name of an account')]
SpaceSource = Literal["quota", "file-system", "cephfs", "lfs", "mmlsquota", "nfs", "command"]

# Keys, and values of keys, that are fixed already and that this version does not offer: refused as such, not as misspelt.
NOT_OFFERED: dict[str, tuple[str, ...]] = {
    "trust.private_peers": (),
}


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration file; a key that it does not name is refused."""


class Server(Section, frozen=True, kw_only=True):
    public_url: str  # scheme, host and port that clients use; audiences and Destination checks follow from it
    listen: tuple[str, ...] = ()  # empty: see with_defaults
    tls_certificate: str = ""
    tls_key: str = ""
    aliases: tuple[str, ...] = ()
    processes: Processes = 0
    account: Name = "teapot"
    authority_account: Name = "teapot-authority"
    observer_account: Name = "teapot-observer"
    spawner_account: Name = "teapot-spawner"
    admin_listen: str = "127.0.0.1:8444"
    admin_networks: tuple[str, ...] = ()
    shutdown_timeout_s: Seconds = 30.0  # how long requests in flight may finish after SIGTERM or a reload's drain
    keepalive_timeout_s: Seconds = 75.0
    body_timeout_s: Seconds = 60.0  # a body that makes no progress for so long is cut off
    answer_timeout_s: Seconds = 60.0  # how long a worker may take to answer before the request fails
    checksum_timeout_s: Seconds = 600.0  # the same where a checksum is asked for that may have to be computed
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    tape_rest_api: str = ""  # a JSON file for WLCG's discovery of the site's tape REST API


class Trust(Section, frozen=True, kw_only=True):
    ca: str = "system"
    ca_directories: tuple[str, ...] = ()


class Outbound(Section, frozen=True, kw_only=True):
    proxy: str = ""
    timeout_s: Seconds = 10.0


class Issuer(Section, frozen=True, kw_only=True):
    url: str
    profile: Literal["wlcg", "scitokens", "identity"] = "identity"
    base_path: str = "/"
    audiences: Literal["auto"] | tuple[str, ...] = "auto"
    audience_required: bool = True
    entitlements_from: Literal["token", "userinfo", "introspection"] = "token"
    entitlements_ttl_s: Seconds = 300.0  # how long an answer of the issuer counts
    client_id: str = ""  # as whom the issuer is asked for an introspection
    client_secret_file: str = ""


class MappingFile(Section, frozen=True, kw_only=True):
    path: str


class MappingAlise(Section, frozen=True, kw_only=True):
    """Exactly one of url and database_url_file (configuration_rules.py)."""

    url: str = ""
    site: Name
    api_key_file: str = ""
    database_url_file: str = ""
    link_url: str = ""  # empty: what ALISE says, or url/site
    timeout_s: LookUpSeconds = 2.5  # with keys and directory less than the 15 s that a gateway waits for the authority
    link_ttl_s: Seconds = 300.0  # while the change feed says what changes meanwhile
    link_ttl_without_feed_s: Seconds = 15.0
    no_link_ttl_s: Seconds = 5.0
    stale_if_down_s: NoOrSomeSeconds = 3600.0  # for how much longer a link counts that cannot be asked for


class Membership(Section, frozen=True, kw_only=True):
    """Exactly one of group and entitlement, and who may say it: the same name from another issuer is another group."""

    group: str = ""  # of wlcg.groups, or of groups: exactly this one
    entitlement: str = ""  # AARC-G069: also from who is in a subgroup, or has a role there
    issuers: tuple[str, ...]


class MappingVo(Membership, frozen=True, kw_only=True):
    account: str


class MappingClaim(Section, frozen=True, kw_only=True):
    claim: str
    issuers: tuple[str, ...]


class Mapping(Section, frozen=True, kw_only=True):
    methods: tuple[Literal["file", "alise", "vo", "claim"], ...] = ("file", "alise", "vo", "claim")
    file: MappingFile | None = None
    alise: MappingAlise | None = None
    vo: tuple[MappingVo, ...] = ()
    claim: tuple[MappingClaim, ...] = ()


class Accounts(Section, frozen=True, kw_only=True):
    minimum_uid: Positive = 1000
    minimum_gid: Positive = 1
    denied: tuple[str, ...] = ("root", "nobody")
    denied_groups: tuple[str, ...] = ("root", "wheel", "sudo", "docker", "disk", "shadow")
    nologin: Literal["refuse", "allow"] = "refuse"
    pam_service: str = ""  # of /etc/pam.d: its account phase is asked as well
    recheck_s: Seconds = 30.0  # how often groups and shells of accounts with a live worker are looked up again


class Space(Section, frozen=True, kw_only=True):
    """Where is known from how much of a storage is used and left (docs/space.md)."""

    source: SpaceSource = "quota"
    command: tuple[str, ...] = ()  # in place of the source's own; of the sources that are commands
    timeout_s: CommandSeconds = 5.0
    cache_s: NoOrSomeSeconds = 60.0  # for how long an answer of a command counts


class Residency(Section, frozen=True, kw_only=True):
    """Exactly one of attribute, migrated_attribute and command (storage_area_rules.py)."""

    attribute: str = ""  # an extended attribute whose value says where the content is
    migrated_attribute: str = ""  # one that files with a copy on tape have; which of them are stubs is told by their blocks
    command: tuple[str, ...] = ()  # a program of the site's and its arguments, {path} among them
    answer: Literal["locality", "lustre"] = "locality"  # what the command writes
    timeout_s: CommandSeconds = 5.0  # of one run of the command
    ttl_s: NoOrSomeSeconds = 10.0  # how long its answer counts


class StorageArea(Section, frozen=True, kw_only=True):
    name: Name
    path: str
    aliases: tuple[str, ...] = ()  # other paths of the same area in URLs
    root: str
    account: AreaAccount = "identity"
    anonymous_account: str = ""
    issuers: tuple[str, ...] = ()  # which issuers' callers may enter; empty: all that are configured
    members: tuple[Membership, ...] = ()  # who may enter with a token without capabilities; empty: everybody who has an account here
    capability_required: bool = False  # only tokens with capability scopes enter, and they need no mapping if the account is fixed
    base_path: str = ""  # what scope paths are relative to here; "": the issuer's base_path
    create_root: bool = False
    create_parents: bool = True
    recursive_delete: Literal["always", "never", "token-with-modify"] = "always"
    overwrite: Literal["refuse", "in_place"] = "refuse"
    umask: OctalMode = "0027"
    group: str = ""  # of new files and collections
    directory_mode: DirectoryMode = ""  # of new collections, octal; "": as the umask leaves it
    read_only: bool = False
    residency: Residency | None = None  # None: everything is on disk
    checksums: tuple[Literal["adler32", "crc32c", "md5", "sha-256"], ...] = ("adler32",)  # computed on the way in and stored with the file
    unguarded_checksums: Literal["ignore", "believe"] = "ignore"  # adler32 that StoRM stored: nothing says whether the file changed since
    space: Space = field(default_factory=Space)


class Principal(Section, frozen=True, kw_only=True):
    """Whom a rule is about: whoever fulfils all that is said here."""

    who: Literal["", "anyone", "anonymous", "authenticated"] = ""
    issuer: str = ""
    subject: str = ""
    client_id: str = ""  # the token's client_id or azp
    group: str = ""
    entitlement: str = ""
    scope: str = ""  # one of the token's scopes, literally


class Rule(Section, frozen=True, kw_only=True):
    """In an area that has rules, what no rule permits is denied, and what one denies is denied whatever others permit."""

    area: str
    effect: Literal["permit", "deny"]
    actions: tuple[Literal["list", "read", "write", "delete", "all"], ...]
    paths: tuple[str, ...] = ("/**",)  # below the area; * and ? within a name, ** for any number of collections
    principals: tuple[Principal, ...]
    description: str = ""


class Ban(Section, frozen=True, kw_only=True):
    """Somebody who is let in nowhere: a subject of an issuer, or, with the subject "*", all of them."""

    issuer: str
    subject: str
    reason: str = ""  # for the log


class Worker(Section, frozen=True, kw_only=True):
    idle_timeout_s: Seconds = 600.0
    maximum: Positive = 500
    start_timeout_s: Seconds = 10.0
    durability: Literal["data", "none"] = "data"
    spool: str = "/var/spool/teapot"  # journals of half-written files, one folder an account, where O_TMPFILE is missing
    open_files: OpenFiles = 4096
    memory_bytes: MemoryBytes = 1 << 30


class Share(Section, frozen=True, kw_only=True):
    """A part of the storage that the site reports of; `space` is as the account sees it that runs the report."""

    name: Name
    paths: tuple[str, ...]  # in URLs
    vos: tuple[str, ...]
    root: str
    space: Space = field(default_factory=Space)
    latency: Literal["online", "nearline", "offline"] = "online"
    serving: Literal["open", "closed", "draining"] = "open"


class Reports(Section, frozen=True, kw_only=True):
    """`teapot srr` and `teapot star`; no process of the service reads this."""

    name: str = ""  # of the storage; "": the host of public_url
    site: str = ""  # as GOCDB has it
    quality: Literal["development", "testing", "pre-production", "production"] = "production"
    address: str = ""  # path of the report in URLs, in a storage area that is open to everybody


class Configuration(Section, frozen=True, kw_only=True):
    server: Server
    trust: Trust = field(default_factory=Trust)
    outbound: Outbound = field(default_factory=Outbound)
    issuer: tuple[Issuer, ...]
    mapping: Mapping = field(default_factory=Mapping)
    accounts: Accounts = field(default_factory=Accounts)
    storage_area: tuple[StorageArea, ...]
    rule: tuple[Rule, ...] = ()
    ban: tuple[Ban, ...] = ()
    worker: Worker = field(default_factory=Worker)
    reports: Reports = field(default_factory=Reports)
    share: tuple[Share, ...] = ()

    @property
    def host(self) -> str:
        return urlsplit(self.server.public_url).hostname or ""


_TLS_CERTIFICATE = "/etc/teapot/tls/cert.pem"
_TLS_KEY = "/etc/teapot/tls/key.pem"


def with_defaults(configuration: Configuration) -> Configuration:
    """The defaults that follow from public_url: its scheme says whether there is TLS, and without TLS only this host is served."""
    server = configuration.server
    plain = server.public_url.startswith("http://")
    if not (plain or server.tls_certificate or server.tls_key):
        server = replace(server, tls_certificate=_TLS_CERTIFICATE, tls_key=_TLS_KEY)
    if not server.listen:
        server = replace(server, listen=(f"127.0.0.1:{_port(server.public_url)}",) if plain else ("[::]:8443",))
    return replace(configuration, server=server)


def _port(url: str) -> int:
    try:
        return urlsplit(url).port or 80
    except ValueError:  # a URL that the rules refuse
        return 80
