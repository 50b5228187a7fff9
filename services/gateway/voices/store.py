"""Where voices are kept: SQLite or PostgreSQL through one code path. It holds tokens, never audio."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.schema import CreateTable

from services.gateway.request import DesignedVoice
from services.gateway.tokens import ReferenceTokens, SpeakerTokens
from services.gateway.voices.tables import Base, DesignedSpeakerRow, ReferenceRow, VoiceRow
from services.runtime.errors import VoiceExists

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


@dataclass(frozen=True)
class StoredVoice:
    """A cloned voice. `model_id`: the model whose codec its tokens belong to; `created_at` in UTC."""

    id: str
    display_name: str
    model_id: str
    reference: ReferenceTokens
    transcript: str
    audio_sha256: str
    created_at: datetime


class VoiceStore:
    """`url`: sqlite:///FILE or postgresql://...; the driver is added. The tokens of at most `max_references`
    recordings are remembered beside the voices; the oldest are forgotten first.
    """

    def __init__(self, url: str, max_references: int = 1000) -> None:
        self._url = _with_driver(url)
        self._max_references = max_references
        self._engine = create_async_engine(self._url)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    async def start(self) -> None:
        """Makes the file's directory and the tables that are missing."""
        database = self._url.database
        if self._url.get_backend_name() == "sqlite" and database:
            Path(database).parent.mkdir(parents=True, exist_ok=True)
        try:
            await self._make_tables()
        except IntegrityError:  # PostgreSQL: another gateway makes the same table at this moment, and is done now.
            await self._make_tables()

    async def stop(self) -> None:
        await self._engine.dispose()

    async def add(self, voice: StoredVoice) -> None:
        """Raises VoiceExists when the id is taken."""
        row = VoiceRow(
            id=voice.id,
            display_name=voice.display_name,
            model_id=voice.model_id,
            global_tokens=voice.reference.speaker.global_tokens,
            codes=voice.reference.codes,
            seconds=voice.reference.seconds,
            transcript=voice.transcript,
            audio_sha256=voice.audio_sha256,
            created_at=voice.created_at,
        )
        if not await self._inserted(row):
            raise VoiceExists(f"There is a voice '{voice.id}' already.", field="voice_id")

    async def find(self, voice_id: str) -> StoredVoice | None:
        async with self._sessions() as session:
            row = await session.get(VoiceRow, voice_id)
        return None if row is None else _stored(row)

    async def all(self) -> tuple[StoredVoice, ...]:
        """By id."""
        async with self._sessions() as session:
            rows = await session.scalars(select(VoiceRow).order_by(VoiceRow.id))
        return tuple(_stored(row) for row in rows)

    async def remove(self, voice_id: str) -> bool:
        """False when there is none."""
        async with self._sessions.begin() as session:
            removed = await session.scalars(delete(VoiceRow).where(VoiceRow.id == voice_id).returning(VoiceRow.id))
            return removed.first() is not None

    async def designed_speaker(self, model_id: str, design: DesignedVoice) -> SpeakerTokens | None:
        key = (model_id, design.gender.value, design.pitch.value, design.speed.value)
        async with self._sessions() as session:
            row = await session.get(DesignedSpeakerRow, key)
        return None if row is None else SpeakerTokens(row.global_tokens, row.style_tokens)

    async def keep_designed_speaker(
        self, model_id: str, design: DesignedVoice, speaker: SpeakerTokens
    ) -> SpeakerTokens:
        """The one that was kept first: `speaker`, or what another request or gateway kept in the meantime."""
        row = DesignedSpeakerRow(
            model_id=model_id,
            gender=design.gender.value,
            pitch=design.pitch.value,
            speed=design.speed.value,
            global_tokens=speaker.global_tokens,
            style_tokens=speaker.style_tokens,
        )
        if await self._inserted(row):
            return speaker
        return await self.designed_speaker(model_id, design) or speaker

    async def reference(self, model_id: str, audio_sha256: str) -> ReferenceTokens | None:
        async with self._sessions() as session:
            row = await session.get(ReferenceRow, (model_id, audio_sha256))
        return None if row is None else ReferenceTokens(SpeakerTokens(row.global_tokens), row.codes, row.seconds)

    async def keep_reference(self, model_id: str, audio_sha256: str, reference: ReferenceTokens) -> None:
        row = ReferenceRow(
            model_id=model_id,
            audio_sha256=audio_sha256,
            global_tokens=reference.speaker.global_tokens,
            codes=reference.codes,
            seconds=reference.seconds,
            created_at=datetime.now(UTC),
        )
        if await self._inserted(row):
            await self._forget_references()

    async def _forget_references(self) -> None:
        newest = select(ReferenceRow.created_at).order_by(ReferenceRow.created_at.desc())
        async with self._sessions.begin() as session:
            oldest_kept = await session.scalar(newest.offset(self._max_references - 1).limit(1))
            if oldest_kept is not None:
                await session.execute(delete(ReferenceRow).where(ReferenceRow.created_at < oldest_kept))

    async def _make_tables(self) -> None:
        async with self._engine.begin() as connection:
            for table in Base.metadata.sorted_tables:
                await connection.execute(CreateTable(table, if_not_exists=True))

    async def _inserted(self, row: Base) -> bool:
        """False when a row of that key is there already."""
        try:
            async with self._sessions.begin() as session:
                session.add(row)
        except IntegrityError:
            return False
        return True


def _with_driver(url: str) -> URL:
    parsed = make_url(url)
    return parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))


def _stored(row: VoiceRow) -> StoredVoice:
    return StoredVoice(
        id=row.id,
        display_name=row.display_name,
        model_id=row.model_id,
        reference=ReferenceTokens(SpeakerTokens(row.global_tokens), row.codes, row.seconds),
        transcript=row.transcript,
        audio_sha256=row.audio_sha256,
        created_at=row.created_at,
    )
