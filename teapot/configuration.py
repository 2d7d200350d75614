"""What teapot.toml may say, as frozen types; the defaults stand here and nowhere else.

Read once by the master (common/configuration.py finds, merges and checks the files) and passed down to each process
as the part that this process needs (see channel/start.py). Nothing in here touches a file or the network.

Every duration ends in _s and is in seconds, every size in _bytes.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

NonNegative = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
OctalMode = Annotated[str, Meta(pattern=r"^0?[0-7]{3}$")]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration file; a key that it does not name is refused."""


class Server(Section, frozen=True, kw_only=True):
    public_url: str  # scheme, host and port that clients use; audiences and Destination checks follow from it
    listen: tuple[str, ...] = ("[::]:8443",)
    tls_certificate: str = ""
    tls_key: str = ""
    aliases: tuple[str, ...] = ()
    processes: NonNegative = 0
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
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Trust(Section, frozen=True, kw_only=True):
    ca: str = "system"
    ca_directories: tuple[str, ...] = ()


class Outbound(Section, frozen=True, kw_only=True):
    proxy: str = ""
    timeout_s: Seconds = 10.0


class Issuer(Section, frozen=True, kw_only=True):
    url: str
    profile: Literal["wlcg", "identity"] = "identity"
    base_path: str = "/"
    audiences: Literal["auto"] | tuple[str, ...] = "auto"
    audience_required: bool = True


class MappingFile(Section, frozen=True, kw_only=True):
    path: str


class MappingClaim(Section, frozen=True, kw_only=True):
    claim: str
    issuers: tuple[str, ...]


class Mapping(Section, frozen=True, kw_only=True):
    methods: tuple[Literal["file", "claim"], ...] = ("file", "claim")
    file: MappingFile | None = None
    claim: tuple[MappingClaim, ...] = ()


class Accounts(Section, frozen=True, kw_only=True):
    minimum_uid: Positive = 1000
    minimum_gid: Positive = 1
    denied: tuple[str, ...] = ("root", "nobody")
    denied_groups: tuple[str, ...] = ("root", "wheel", "sudo", "docker", "disk", "shadow")
    nologin: Literal["refuse", "allow"] = "refuse"
    recheck_s: Seconds = 30.0  # how often groups and shells of accounts with a live worker are looked up again


class StorageArea(Section, frozen=True, kw_only=True):
    name: Name
    path: str
    root: str
    account: str = "identity"
    anonymous_account: str = ""
    issuers: tuple[str, ...] = ()  # which issuers' callers may enter; empty: all that are configured
    create_root: bool = False
    create_parents: bool = True
    recursive_delete: Literal["always", "never"] = "always"
    overwrite: Literal["refuse", "in_place"] = "refuse"
    umask: OctalMode = "0027"
    read_only: bool = False
    checksums: tuple[Literal["adler32"], ...] = ("adler32",)  # computed on the way in and stored with the file


class Worker(Section, frozen=True, kw_only=True):
    idle_timeout_s: Seconds = 600.0
    maximum: Positive = 500
    start_timeout_s: Seconds = 10.0
    durability: Literal["data", "none"] = "data"
    spool: str = "/var/spool/teapot"  # journals of half-written files, one folder an account, where O_TMPFILE is missing
    open_files: Positive = 4096
    memory_bytes: Positive = 1 << 30


class Configuration(Section, frozen=True, kw_only=True):
    server: Server
    trust: Trust = field(default_factory=Trust)
    outbound: Outbound = field(default_factory=Outbound)
    issuer: tuple[Issuer, ...]
    mapping: Mapping = field(default_factory=Mapping)
    accounts: Accounts = field(default_factory=Accounts)
    storage_area: tuple[StorageArea, ...]
    worker: Worker = field(default_factory=Worker)
