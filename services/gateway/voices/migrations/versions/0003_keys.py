"""Keys of callers, and whose each voice is: nobody's where it was made before there were keys."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "keys",
        sa.Column("id", _id(), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("ending", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("requests_at_once", sa.Integer, nullable=False),
        sa.Column("characters_a_minute", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("withdrawn_at", sa.DateTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
    )
    owner = sa.Column("owner", _id(), nullable=False, server_default=sa.text("''"))
    if op.get_bind().dialect.name == "sqlite":
        # It reads a row up to the last column that is asked for, and large ones come last: so the table is copied.
        with op.batch_alter_table("voices", recreate="always") as voices:
            voices.add_column(owner, insert_after="created_at")
    else:
        op.add_column("voices", owner)
    op.create_index("ix_voices_owner", "voices", ["owner", "id"])


def _id() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
