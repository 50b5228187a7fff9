"""Where voices are kept: SQLite or PostgreSQL through one code path."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import TypedDict

from sqlalchemy import ColumnElement, delete, false, func, literal, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute

from services.contract.design import DesignedVoice
from services.contract.frames import Frames
from services.contract.model import Revision
from services.contract.speaker import Speaker
from services.contract.tokenization import TokenizedRecording
from services.gateway.text.storable import check_text, storable
from services.gateway.voices.adoption import adopt
from services.gateway.voices.database import file_of, open_engine, with_driver
from services.gateway.voices.latest_voices import LatestVoices
from services.gateway.voices.migration import migrate
from services.gateway.voices.sessions import Sessions
from services.gateway.voices.stored_voice import ListedVoice, StoredVoice
from services.gateway.voices.tables import Base, DesignedSpeakerRow, RecordingRow, ReferenceRow, VoiceRow
from services.runtime.errors import InvalidRequest, StoreUnavailable, VoiceExists

_LISTED = (VoiceRow.id, VoiceRow.display_name, VoiceRow.transcript, VoiceRow.created_at, VoiceRow.owner)


class VoiceStore:
    """An `owner` that a method takes is the one that the voice must have: what was another's, or has become it, is not
    there.

    `url`: sqlite:///FILE or postgresql://...; the driver is added. The tokens of at most `max_references`
    recordings are remembered beside the voices; the oldest are forgotten first.
    """

    def __init__(self, url: str, max_references: int = 1000) -> None:
        self._url = with_driver(url)
        self._max_references = max_references
        self._engine = open_engine(self._url)
        self.sessions = Sessions(self._engine)
        self._found = LatestVoices()

    async def start(self) -> None:
        """Makes the file, and brings the database to the schema of this version. It must be there."""
        file = file_of(self._url)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        await migrate(self._engine)
        self.sessions.start()

    async def stop(self) -> None:
        await self.sessions.stop()
        await self._engine.dispose()

    @property
    def problem(self) -> str:
        """Why what needs the database fails now, for people; empty when nothing does."""
        return self.sessions.problem

    async def adopt(self, model_id: str, revision: Revision) -> None:
        """What was kept for the model before anybody knew its revision is of this one from now on; `revision` knows
        both parts.
        """
        async with self.sessions.watched(patience=None):
            await adopt(self._engine, model_id, revision)

    async def add(self, voice: StoredVoice) -> None:
        """Raises VoiceExists when the id is taken."""
        row = VoiceRow(
            id=voice.id,
            display_name=voice.display_name,
            model_id=voice.model_id,
            codec_revision=voice.codec_revision,
            audio_sha256=voice.audio_sha256,
            created_at=voice.created_at,
            owner=voice.owner,
            transcript=voice.transcript,
            **_columns(voice.tokens),
        )
        flac = voice.tokens.recording
        recording = [RecordingRow(voice_id=voice.id, flac=flac)] if flac else []
        if not await self._inserted(row, *recording):
            raise VoiceExists(f"There is a voice '{voice.id}' already.", field="voice_id")

    async def find(self, voice_id: str) -> StoredVoice | None:
        """Without its recording. One that was found lately is found while the database is away."""
        try:
            async with self.sessions() as session:
                row = await session.scalar(select(VoiceRow).where(_is(VoiceRow.id, voice_id)))
        except StoreUnavailable:
            if known := self._found.get(voice_id):
                return known
            raise
        return self._found.note(voice_id, None if row is None else _stored(row))

    async def owner(self, voice_id: str) -> str | None:
        """None when there is no such voice."""
        async with self.sessions() as session:
            return await session.scalar(select(VoiceRow.owner).where(_is(VoiceRow.id, voice_id)))

    async def count(self, owner: str) -> int:
        """Of the voices of an owner."""
        async with self.sessions() as session:
            return await session.scalar(select(func.count()).where(VoiceRow.owner == owner)) or 0

    async def recording(self, voice_id: str, owner: str = "") -> bytes | None:
        """FLAC; None when none was kept."""
        kept = select(RecordingRow.flac).join(VoiceRow, VoiceRow.id == RecordingRow.voice_id)
        async with self.sessions() as session:
            return await session.scalar(kept.where(*_of(voice_id, owner)))

    async def page(self, after: str, limit: int, owners: Collection[str] | None = None) -> tuple[ListedVoice, ...]:
        """The first `limit` voices whose ids follow `after`, by id (in the order of its characters); of `owners`, or of
        all.
        """
        if not storable(after):
            raise InvalidRequest("This page token is none of ours.", field="page_token")
        query = select(*_LISTED).where(VoiceRow.id > after).order_by(VoiceRow.id).limit(limit)
        if owners is not None:
            query = query.where(VoiceRow.owner.in_(owners))
        async with self.sessions() as session:
            return tuple(ListedVoice(*row) for row in await session.execute(query))

    async def update(
        self, voice_id: str, display_name: str | None = None, transcript: str | None = None, owner: str = ""
    ) -> ListedVoice | None:
        """The voice as it is then; None when there is none. What is None stays. Raises InvalidRequest."""
        check_text(display_name or "", "display_name")
        check_text(transcript or "", "transcript")
        changed = update(VoiceRow).where(*_of(voice_id, owner))
        changed = changed.values(
            display_name=func.coalesce(literal(display_name, VoiceRow.display_name.type), VoiceRow.display_name),
            transcript=func.coalesce(literal(transcript, VoiceRow.transcript.type), VoiceRow.transcript),
        )
        async with self.sessions.begin() as session:
            row = (await session.execute(changed.returning(*_LISTED))).first()
        return None if row is None else ListedVoice(*row)

    async def retokenized(
        self, voice_id: str, codec_revision: str, tokens: TokenizedRecording, owner: str = ""
    ) -> bool:
        """Another codec has read the recording of the voice, which stays. False when there is no such voice."""
        changed = update(VoiceRow).where(*_of(voice_id, owner))
        changed = changed.values(codec_revision=codec_revision, **_columns(tokens))
        async with self.sessions.begin() as session:
            return (await session.scalars(changed.returning(VoiceRow.id))).first() is not None

    async def remove(self, voice_id: str, owner: str = "") -> bool:
        """With its recording. False when there is none."""
        voice = delete(VoiceRow).where(*_of(voice_id, owner)).returning(VoiceRow.id)
        async with self.sessions.begin() as session:
            removed = (await session.scalars(voice)).first() is not None
            # From here on whoever adds another voice of the id waits, so that the recording is the one of this voice.
            if removed:
                await session.execute(delete(RecordingRow).where(_is(RecordingRow.voice_id, voice_id)))
        return removed

    async def designed_speaker(self, model_id: str, revision: Revision, design: DesignedVoice) -> Speaker | None:
        key = (model_id, revision.codec_files, revision.llm, _design_key(design))
        async with self.sessions() as session:
            row = await session.get(DesignedSpeakerRow, key)
        return None if row is None else Speaker(row.speaker_state, row.global_tokens)

    async def keep_designed_speaker(
        self, model_id: str, revision: Revision, design: DesignedVoice, speaker: Speaker
    ) -> Speaker:
        """The one that was kept first: `speaker`, or what another request or gateway kept in the meantime."""
        row = DesignedSpeakerRow(
            model_id=model_id,
            codec_revision=revision.codec_files,
            llm_revision=revision.llm,
            design=_design_key(design),
            global_tokens=speaker.global_tokens,
            speaker_state=speaker.state,
        )
        if await self._inserted(row):
            return speaker
        return await self.designed_speaker(model_id, revision, design) or speaker

    async def reference(self, codec_revision: str, audio_sha256: str) -> TokenizedRecording | None:
        """Without the recording."""
        async with self.sessions() as session:
            row = await session.get(ReferenceRow, (codec_revision, audio_sha256))
        return None if row is None else _tokens(row)

    async def keep_reference(self, codec_revision: str, audio_sha256: str, tokens: TokenizedRecording) -> None:
        """Without the recording."""
        assert codec_revision
        row = ReferenceRow(
            codec_revision=codec_revision,
            audio_sha256=audio_sha256,
            model_id="",
            created_at=datetime.now(UTC),
            **_columns(tokens),
        )
        if await self._inserted(row):
            await self._forget_references()

    async def _forget_references(self) -> None:
        newest = select(ReferenceRow.created_at).order_by(ReferenceRow.created_at.desc())
        async with self.sessions.begin() as session:
            oldest_kept = await session.scalar(newest.offset(self._max_references - 1).limit(1))
            if oldest_kept is not None:
                await session.execute(delete(ReferenceRow).where(ReferenceRow.created_at < oldest_kept))

    async def _inserted(self, *rows: Base) -> bool:
        """All or none; False when a row of such a key is there already."""
        try:
            async with self.sessions.begin() as session:
                session.add_all(rows)
        except IntegrityError:
            return False
        return True


def _is(column: InstrumentedAttribute[str], voice_id: str) -> ColumnElement[bool]:
    """No voice has an id that cannot be stored; PostgreSQL would not even look for it."""
    return column == voice_id if storable(voice_id) else false()


def _of(voice_id: str, owner: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _is(VoiceRow.id, voice_id), VoiceRow.owner == owner


def _design_key(design: DesignedVoice) -> str:
    return f"{design.gender.value}/{design.pitch.value}/{design.speed.value}"


class _Columns(TypedDict):
    """Those that tables of tokenized recordings share."""

    seconds: float
    global_tokens: tuple[int, ...]
    frames: Frames
    speaker_state: bytes


def _columns(tokens: TokenizedRecording) -> _Columns:
    speaker = tokens.speaker
    return _Columns(
        seconds=tokens.seconds, global_tokens=speaker.global_tokens, frames=tokens.frames, speaker_state=speaker.state
    )


def _tokens(row: VoiceRow | ReferenceRow) -> TokenizedRecording:
    return TokenizedRecording(Speaker(row.speaker_state, row.global_tokens), row.frames, row.seconds)


def _stored(row: VoiceRow) -> StoredVoice:
    return StoredVoice(
        id=row.id,
        display_name=row.display_name,
        model_id=row.model_id,
        codec_revision=row.codec_revision,
        tokens=_tokens(row),
        transcript=row.transcript,
        audio_sha256=row.audio_sha256,
        created_at=row.created_at,
        owner=row.owner,
    )
