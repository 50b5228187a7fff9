"""Speakers and frames as their families write them, the revisions of models, and recordings.

All rows from before are of Spark-TTS. Of which revision their model was nobody knows: it is left empty.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from alembic import op

from voxline.stages.v1 import frames_pb2, spark_pb2

revision = "0002"
down_revision = "0001"

# So many rows are in memory at once.
_ROWS = 200

Values = dict[str, Any]


def upgrade() -> None:
    _replace("voices", _voices(), ["id"], _voice)
    _replace("designed_speakers", _designed_speakers(), ["model_id", "gender", "pitch", "speed"], _designed_speaker)
    # Of models that heard one recording, one keeps what it made of it; the others make it again when they are asked.
    op.execute(
        "DELETE FROM reference_tokens WHERE (model_id, audio_sha256) NOT IN "
        "(SELECT min(model_id), audio_sha256 FROM reference_tokens GROUP BY audio_sha256)"
    )
    _replace("reference_tokens", _reference_tokens(), ["model_id", "audio_sha256"], _reference)
    op.create_table(
        "recordings",
        sa.Column("voice_id", _id(), nullable=False),
        sa.Column("flac", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("voice_id", name="pk_recordings"),
    )


def _voices() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", _id(), nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("codec_revision", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("audio_sha256", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("transcript", sa.Text, nullable=False),
        sa.Column("global_tokens", sa.LargeBinary, nullable=False),
        sa.Column("frames", sa.LargeBinary, nullable=False),
        sa.Column("speaker_state", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_voices"),
    ]


def _designed_speakers() -> list[sa.schema.SchemaItem]:
    key = ("model_id", "codec_revision", "llm_revision", "design")
    return [
        *(sa.Column(name, sa.Text, nullable=False) for name in key),
        sa.Column("global_tokens", sa.LargeBinary, nullable=False),
        sa.Column("speaker_state", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint(*key, name="pk_designed_speakers"),
    ]


def _reference_tokens() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("codec_revision", sa.Text, nullable=False),
        sa.Column("audio_sha256", sa.Text, nullable=False),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("global_tokens", sa.LargeBinary, nullable=False),
        sa.Column("frames", sa.LargeBinary, nullable=False),
        sa.Column("speaker_state", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("codec_revision", "audio_sha256", name="pk_reference_tokens"),
    ]


def _id() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _replace(
    name: str, columns: Sequence[sa.schema.SchemaItem], key: Sequence[str], converted: Callable[[sa.RowMapping], Values]
) -> None:
    """`key`: the primary key until now."""
    op.rename_table(name, f"{name}_0001")
    old = sa.Table(f"{name}_0001", sa.MetaData(), autoload_with=op.get_bind())
    new = op.create_table(name, *columns)
    for rows in _batches(old, [old.c[column] for column in key]):
        op.bulk_insert(new, [converted(row) for row in rows])
    op.drop_table(old.name)


def _batches(table: sa.Table, key: Sequence[sa.Column[str]]) -> Iterator[Sequence[sa.RowMapping]]:
    query = sa.select(table).order_by(*key).limit(_ROWS)
    rows = op.get_bind().execute(query).mappings().all()
    while rows:
        yield rows
        last = tuple(rows[-1][column] for column in key)
        rows = op.get_bind().execute(query.where(sa.tuple_(*key) > last)).mappings().all()


def _voice(row: sa.RowMapping) -> Values:
    return {
        "id": row["id"],
        "display_name": _text(row["display_name"]),
        "model_id": row["model_id"],
        "codec_revision": "",
        "seconds": row["seconds"],
        "audio_sha256": row["audio_sha256"],
        "created_at": row["created_at"],
        "transcript": _text(row["transcript"]),
        "global_tokens": row["global_tokens"],
        "frames": _frames(row["codes"]),
        "speaker_state": _state(row["global_tokens"]),
    }


def _designed_speaker(row: sa.RowMapping) -> Values:
    return {
        "model_id": row["model_id"],
        "codec_revision": "",
        "llm_revision": "",
        "design": f"{row['gender']}/{row['pitch']}/{row['speed']}",
        "global_tokens": row["global_tokens"],
        "speaker_state": _state(row["global_tokens"], row["style_tokens"]),
    }


def _reference(row: sa.RowMapping) -> Values:
    return {
        "codec_revision": "",
        "audio_sha256": row["audio_sha256"],
        "model_id": row["model_id"],
        "seconds": row["seconds"],
        "created_at": row["created_at"],
        "global_tokens": row["global_tokens"],
        "frames": _frames(row["codes"]),
        "speaker_state": _state(row["global_tokens"]),
    }


def _state(global_tokens: bytes, style_tokens: bytes = b"") -> bytes:
    speaker = spark_pb2.SparkSpeaker(global_tokens=_tokens(global_tokens), style_tokens=_tokens(style_tokens))
    return speaker.SerializeToString()


def _frames(codes: bytes) -> bytes:
    return frames_pb2.Frames(width=1, codes=frames_pb2.Codes(values=_tokens(codes))).SerializeToString()


def _tokens(array: bytes) -> list[int]:
    """Of little-endian uint32."""
    tokens: list[int] = np.frombuffer(array, "<u4").tolist()
    return tokens


def _text(stored: str) -> str:
    """SQLite took NUL, which the store refuses now."""
    return stored.replace("\0", "\N{REPLACEMENT CHARACTER}")
