"""The tables of the first version, and the views for services beside ALISE (docs/decisions/0005)."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# What makes a link count stands here and in alise/storage/lookup.py.
VIEWS = {
    "service_site": "SELECT name AS site FROM site WHERE enabled",
    "service_link": """
        SELECT site.name AS site, issuer.url AS issuer, identity.subject AS subject, account.username AS username,
            CASE WHEN link.status = 'active' AND account.status = 'active' THEN 'active' ELSE 'suspended' END AS state
        FROM link JOIN site ON site.id = link.site_id JOIN account ON account.id = link.account_id
            JOIN identity ON identity.id = link.identity_id JOIN issuer ON issuer.id = identity.issuer_id
        WHERE link.status IN ('active', 'suspended') AND site.enabled AND issuer.enabled""",
    "service_change": """
        SELECT site.name AS site, change.seq AS seq, issuer.url AS issuer, change.subject AS subject
        FROM change JOIN site ON site.id = change.site_id JOIN issuer ON issuer.id = change.issuer_id""",
}


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", NUMBER, autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.String(length=600), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("audit_account", "audit", ["site", "account", "seq"], unique=False)
    op.create_table(
        "head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("audit_seq", sa.BigInteger(), nullable=False),
        sa.Column("audit_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("change_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "issuer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(length=255), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("url"),
    )
    op.create_table(
        "site",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "account",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("issuer_id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("username", sa.String(length=255), nullable=False),
        sa.Column("display_name", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_login_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["issuer_id"],
            ["issuer.id"],
        ),
        sa.ForeignKeyConstraint(
            ["site_id"],
            ["site.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("site_id", "issuer_id", "subject", name="account_person"),
        sa.UniqueConstraint("site_id", "username", name="account_username"),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("legacy", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.Column("used_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["site_id"],
            ["site.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_table(
        "change",
        sa.Column("seq", NUMBER, autoincrement=False, nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("issuer_id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("operation", sa.String(length=16), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["issuer_id"],
            ["issuer.id"],
        ),
        sa.ForeignKeyConstraint(
            ["site_id"],
            ["site.id"],
        ),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("change_site", "change", ["site_id", "seq"], unique=False)
    op.create_table(
        "identity",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("issuer_id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("display_name", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("acr", sa.String(length=255), nullable=False),
        sa.Column("assurance", sa.Text(), nullable=False),
        sa.Column("last_login_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["issuer_id"],
            ["issuer.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("issuer_id", "subject", name="identity_person"),
    )
    op.create_table(
        "link",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("identity_id", NUMBER, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("used_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
        ),
        sa.ForeignKeyConstraint(
            ["identity_id"],
            ["identity.id"],
        ),
        sa.ForeignKeyConstraint(
            ["site_id"],
            ["site.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("link_of_account", "link", ["account_id"], unique=False)
    op.create_index("link_history", "link", ["identity_id"], unique=False)
    op.create_index(
        "link_of_identity",
        "link",
        ["site_id", "identity_id"],
        unique=True,
        sqlite_where=sa.text("status IN ('active', 'suspended')"),
        postgresql_where=sa.text("status IN ('active', 'suspended')"),
    )
    op.create_table(
        "browser_session",
        sa.Column("id_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.Column("ends_at", sa.Float(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id_hash"),
    )
    op.create_index("browser_session_end", "browser_session", ["ends_at"], unique=False)
    op.create_index("browser_session_person", "browser_session", ["site", "issuer", "subject"], unique=False)
    op.create_table(
        "login_flow",
        sa.Column("state_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("state_hash"),
    )
    op.create_index("login_flow_browser", "login_flow", ["browser_hash"], unique=False)
    op.create_index("login_flow_expiry", "login_flow", ["expires_at"], unique=False)
    op.execute(sa.text("INSERT INTO head VALUES (1, 0, :none, 0)").bindparams(sa.bindparam("none", b"", sa.LargeBinary)))
    for name, selected in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {selected}")


def downgrade() -> None:
    for name in VIEWS:
        op.execute(f"DROP VIEW {name}")
    tables = ("login_flow", "browser_session", "head", "change", "audit", "api_key", "link", "identity", "account", "issuer", "site")
    for name in tables:
        op.drop_table(name)
