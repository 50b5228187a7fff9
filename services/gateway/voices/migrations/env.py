"""What Alembic runs; the connection and its transaction are the caller's (services/gateway/voices/migration.py)."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
