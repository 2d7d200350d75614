"""The tables that outlive a browser session: who has which account, which identities are linked to it, keys, audit and changes.

Times are seconds since the epoch. An identity is (issuer, subject) and nothing else; it is never put together into one text. What is
over is marked, not deleted: a link that was taken away stays as `revoked`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()
_Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself in this type only
_IN_USE = text("status IN ('active', 'suspended')")

site = Table(
    "site",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("enabled", Boolean, nullable=False),  # still in the configuration
)
issuer = Table(
    "issuer",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("url", String(255), nullable=False, unique=True),
    Column("enabled", Boolean, nullable=False),
)
account = Table(
    "account",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("site_id", ForeignKey("site.id"), nullable=False),
    Column("issuer_id", ForeignKey("issuer.id"), nullable=False),
    Column("subject", String(255)),  # NULL: made by an administrator; whoever logs in first with the username has it
    Column("username", String(255), nullable=False),
    Column("display_name", String(255), nullable=False),
    Column("email", String(255), nullable=False),
    Column("status", String(16), nullable=False),  # active, suspended
    Column("created_at", Double, nullable=False),
    Column("last_login_at", Double),
    UniqueConstraint("site_id", "issuer_id", "subject", name="account_person"),
    UniqueConstraint("site_id", "username", name="account_username"),
)
identity = Table(
    "identity",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("issuer_id", ForeignKey("issuer.id"), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("display_name", String(255), nullable=False),
    Column("email", String(255), nullable=False),
    Column("acr", String(255), nullable=False),
    Column("assurance", Text, nullable=False),  # a JSON list
    Column("last_login_at", Double),
    UniqueConstraint("issuer_id", "subject", name="identity_person"),
)
link = Table(
    "link",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("site_id", ForeignKey("site.id"), nullable=False),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("identity_id", ForeignKey("identity.id"), nullable=False),
    Column("status", String(16), nullable=False),  # active, suspended, revoked
    Column("origin", String(16), nullable=False),  # web, cli, import
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("used_at", Double),
    # What decides that an identity has one account at a site, whoever writes.
    Index("link_of_identity", "site_id", "identity_id", unique=True, sqlite_where=_IN_USE, postgresql_where=_IN_USE),
    Index("link_of_account", "account_id"),
    Index("link_history", "identity_id"),  # also of those that were revoked
)
api_key = Table(
    "api_key",
    metadata,
    Column("id", String(16), primary_key=True),  # the part of the key that may be shown
    Column("site_id", ForeignKey("site.id"), nullable=False),
    Column("hash", LargeBinary(32), nullable=False, unique=True),  # SHA-256 of the whole key
    Column("owner", String(255), nullable=False),
    Column("legacy", Boolean, nullable=False),  # taken over from ALISE 1
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("revoked_at", Double),
    Column("used_at", Double),
)
audit = Table(
    "audit",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("actor", String(600), nullable=False),
    Column("action", String(32), nullable=False),
    Column("site", String(64), nullable=False),
    Column("account", String(255), nullable=False),  # whose activity it belongs to
    Column("detail", Text, nullable=False),  # a JSON object, as it was hashed
    Column("request_id", String(64), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),  # of this record and the one before
    Index("audit_account", "site", "account", "seq"),
)
change = Table(
    "change",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("site_id", ForeignKey("site.id"), nullable=False),
    Column("issuer_id", ForeignKey("issuer.id"), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("operation", String(16), nullable=False),  # linked, unlinked, suspended, resumed
    Column("at", Double, nullable=False),
    Index("change_site", "site_id", "seq"),
)
head = Table(  # one row: the last numbers of audit and change, held by whoever writes until the commit
    "head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("audit_seq", BigInteger, nullable=False),
    Column("audit_hash", LargeBinary(32), nullable=False),
    Column("change_seq", BigInteger, nullable=False),
)
