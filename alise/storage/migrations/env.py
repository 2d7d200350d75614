"""Run by Alembic: on the connection that database.py hands over, in its transaction."""

from alembic import context

from alise.storage import browser_tables, tables

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=[tables.metadata, browser_tables.metadata], render_as_batch=connection.dialect.name == "sqlite"
)
context.run_migrations()
