"""Tables of voices and of keys: one schema for SQLite and PostgreSQL, to which `migrations` bring a database."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import numpy as np
from sqlalchemy import DateTime, Dialect, Float, Index, LargeBinary, MetaData, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from services.contract.frames import Frames
from voxline.stages.v1 import frames_pb2

# In the order of their bytes, as SQLite has it, whatever the language of a PostgreSQL database is.
_ID = Text().with_variant(Text(collation="C"), "postgresql")


class TokenArray(TypeDecorator[tuple[int, ...]]):
    """Token ids as little-endian uint32."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: tuple[int, ...] | None, dialect: Dialect) -> bytes | None:
        return None if value is None else np.array(value, "<u4").tobytes()

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> tuple[int, ...] | None:
        return None if value is None else tuple(np.frombuffer(value, "<u4").tolist())


class FramesMessage(TypeDecorator[Frames]):
    """Frames as voxline.stages.v1.Frames, serialized."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Frames | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value.to_proto().SerializeToString()

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Frames | None:
        return None if value is None else Frames.from_proto(frames_pb2.Frames.FromString(value))


class UtcTime(TypeDecorator[datetime]):
    """An aware time, stored as naive UTC: SQLite keeps no zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    # Names of constraints, so that the tables of two revisions can stand side by side in PostgreSQL.
    metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})
    type_annotation_map: ClassVar[Mapping[Any, type[TypeEngine[Any]]]] = {
        tuple[int, ...]: TokenArray,
        Frames: FramesMessage,
        datetime: UtcTime,
        str: Text,
        float: Float,
        bytes: LargeBinary,
    }


class VoiceRow(Base):
    """A cloned voice. What may be large comes last: SQLite reads a row up to the last column that is asked for."""

    __tablename__ = "voices"
    __table_args__ = (Index("ix_voices_owner", "owner", "id"),)

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    display_name: Mapped[str]
    model_id: Mapped[str]
    # Empty: not known yet.
    codec_revision: Mapped[str]
    seconds: Mapped[float]
    audio_sha256: Mapped[str]
    created_at: Mapped[datetime]
    # Empty: made while there were no keys.
    owner: Mapped[str] = mapped_column(_ID, server_default=text("''"))
    transcript: Mapped[str]
    global_tokens: Mapped[tuple[int, ...]]
    frames: Mapped[Frames]
    speaker_state: Mapped[bytes]


class RecordingRow(Base):
    """The recording of a cloned voice, where it is kept."""

    __tablename__ = "recordings"

    voice_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    flac: Mapped[bytes]


class DesignedSpeakerRow(Base):
    """The speaker that a model made up for a design, kept for ever."""

    __tablename__ = "designed_speakers"

    model_id: Mapped[str] = mapped_column(primary_key=True)
    # Both are empty where they are not known yet.
    codec_revision: Mapped[str] = mapped_column(primary_key=True)
    llm_revision: Mapped[str] = mapped_column(primary_key=True)
    # gender/pitch/speed.
    design: Mapped[str] = mapped_column(primary_key=True)
    global_tokens: Mapped[tuple[int, ...]]
    speaker_state: Mapped[bytes]


class ReferenceRow(Base):
    """What the tokenizer made of a recording, by the hash of its file."""

    __tablename__ = "reference_tokens"

    # Empty: not known yet; then `model_id` says whose it is, and else nobody asks.
    codec_revision: Mapped[str] = mapped_column(primary_key=True)
    audio_sha256: Mapped[str] = mapped_column(primary_key=True)
    model_id: Mapped[str]
    seconds: Mapped[float]
    created_at: Mapped[datetime]
    global_tokens: Mapped[tuple[int, ...]]
    frames: Mapped[Frames]
    speaker_state: Mapped[bytes]


class KeyRow(Base):
    """What a caller may do who sends the key of this hash. A withdrawn one stays: it keeps the doors closed."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    name: Mapped[str]
    # In hexadecimal digits.
    sha256: Mapped[str]
    # The last characters of the key.
    ending: Mapped[str]
    owner: Mapped[str]
    # Comma-separated.
    scopes: Mapped[str]
    # 0: no limit.
    requests_at_once: Mapped[int]
    characters_a_minute: Mapped[int]
    created_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
