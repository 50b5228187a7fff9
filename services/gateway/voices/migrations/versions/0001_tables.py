"""The tables as they were before there were migrations; a database from that time has them already."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "voices",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("global_tokens", sa.LargeBinary, nullable=False),
        sa.Column("codes", sa.LargeBinary, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("transcript", sa.Text, nullable=False),
        sa.Column("audio_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "designed_speakers",
        sa.Column("model_id", sa.Text, primary_key=True),
        sa.Column("gender", sa.String(16), primary_key=True),
        sa.Column("pitch", sa.String(16), primary_key=True),
        sa.Column("speed", sa.String(16), primary_key=True),
        sa.Column("global_tokens", sa.LargeBinary, nullable=False),
        sa.Column("style_tokens", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "reference_tokens",
        sa.Column("model_id", sa.Text, primary_key=True),
        sa.Column("audio_sha256", sa.String(64), primary_key=True),
        sa.Column("global_tokens", sa.LargeBinary, nullable=False),
        sa.Column("codes", sa.LargeBinary, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        if_not_exists=True,
    )
