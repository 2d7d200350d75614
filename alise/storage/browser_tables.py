"""The tables of browser sessions and of logins under way: what is in them is over within hours."""

from sqlalchemy import Column, Float, Index, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()
browser_session = Table(
    "browser_session",
    metadata,
    Column("id_hash", LargeBinary(32), primary_key=True),
    Column("site", String(64), nullable=False),
    Column("issuer", String(255), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("ends_at", Float, nullable=False),
    Column("content", Text, nullable=False),
    Index("browser_session_person", "site", "issuer", "subject"),
    Index("browser_session_end", "ends_at"),
)
login_flow = Table(
    "login_flow",
    metadata,
    Column("state_hash", LargeBinary(32), primary_key=True),
    Column("browser_hash", LargeBinary(32), nullable=False),
    Column("provider", String(64), nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("content", Text, nullable=False),
    Index("login_flow_browser", "browser_hash"),
    Index("login_flow_expiry", "expires_at"),
)
