"""Tables of the voice store: one schema for SQLite and PostgreSQL."""

from datetime import UTC, datetime
from typing import ClassVar

import numpy as np
from sqlalchemy import DateTime, Dialect, Float, LargeBinary, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class TokenArray(TypeDecorator[tuple[int, ...]]):
    """Token ids as little-endian uint32."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: tuple[int, ...] | None, dialect: Dialect) -> bytes | None:
        return None if value is None else np.array(value, "<u4").tobytes()

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> tuple[int, ...] | None:
        return None if value is None else tuple(np.frombuffer(value, "<u4").tolist())


class UtcTime(TypeDecorator[datetime]):
    """An aware time, stored as naive UTC: SQLite keeps no zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    type_annotation_map: ClassVar = {tuple[int, ...]: TokenArray, datetime: UtcTime, str: Text, float: Float}


class VoiceRow(Base):
    """A cloned voice."""

    __tablename__ = "voices"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    display_name: Mapped[str]
    model_id: Mapped[str]
    global_tokens: Mapped[tuple[int, ...]]
    codes: Mapped[tuple[int, ...]]
    seconds: Mapped[float]
    transcript: Mapped[str]
    audio_sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]


class DesignedSpeakerRow(Base):
    """The speaker that a model made up for a design, kept for ever."""

    __tablename__ = "designed_speakers"

    model_id: Mapped[str] = mapped_column(primary_key=True)
    gender: Mapped[str] = mapped_column(String(16), primary_key=True)
    pitch: Mapped[str] = mapped_column(String(16), primary_key=True)
    speed: Mapped[str] = mapped_column(String(16), primary_key=True)
    global_tokens: Mapped[tuple[int, ...]]
    style_tokens: Mapped[tuple[int, ...]]


class ReferenceRow(Base):
    """What the tokenizer made of a recording, by the hash of its file."""

    __tablename__ = "reference_tokens"

    model_id: Mapped[str] = mapped_column(primary_key=True)
    audio_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    global_tokens: Mapped[tuple[int, ...]]
    codes: Mapped[tuple[int, ...]]
    seconds: Mapped[float]
    created_at: Mapped[datetime]
