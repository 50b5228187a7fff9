"""What was kept before anybody knew the revision of its model becomes that of the revision that is served first."""

from contextlib import suppress

from sqlalchemy import delete, exists, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import aliased

from services.contract.model import Revision
from services.gateway.voices.migration import lock
from services.gateway.voices.tables import DesignedSpeakerRow, ReferenceRow, VoiceRow

_ATTEMPTS = 10


async def adopt(engine: AsyncEngine, model_id: str, revision: Revision) -> None:
    """`revision` knows both parts. What is kept for it already stays, and what it would replace goes. No recording was
    cleaned then.
    """
    assert revision.codec
    assert revision.llm
    revision = Revision(revision.codec_files, revision.llm)
    for _ in range(_ATTEMPTS - 1):
        # Another gateway kept one of the same key meanwhile: the next time it is seen, and stays.
        with suppress(IntegrityError):
            await _adopt(engine, model_id, revision)
            return
    await _adopt(engine, model_id, revision)


async def _adopt(engine: AsyncEngine, model_id: str, revision: Revision) -> None:
    async with engine.begin() as connection:
        await lock(connection)
        await _adopt_voices(connection, model_id, revision)
        await _adopt_designed_speakers(connection, model_id, revision)
        await _adopt_references(connection, model_id, revision)


async def _adopt_voices(connection: AsyncConnection, model_id: str, revision: Revision) -> None:
    unknown = (VoiceRow.model_id == model_id, VoiceRow.codec_revision == "")
    await connection.execute(update(VoiceRow).where(*unknown).values(codec_revision=revision.codec))


async def _adopt_designed_speakers(connection: AsyncConnection, model_id: str, revision: Revision) -> None:
    row, known = DesignedSpeakerRow, aliased(DesignedSpeakerRow)
    unknown = (row.model_id == model_id, row.codec_revision == "", row.llm_revision == "")
    replaced = exists().where(
        known.model_id == row.model_id,
        known.design == row.design,
        known.codec_revision == revision.codec,
        known.llm_revision == revision.llm,
    )
    await connection.execute(delete(row).where(*unknown, replaced))
    of_revision = {"codec_revision": revision.codec, "llm_revision": revision.llm}
    await connection.execute(update(row).where(*unknown).values(of_revision))


async def _adopt_references(connection: AsyncConnection, model_id: str, revision: Revision) -> None:
    row, known = ReferenceRow, aliased(ReferenceRow)
    unknown = (row.model_id == model_id, row.codec_revision == "")
    replaced = exists().where(known.audio_sha256 == row.audio_sha256, known.codec_revision == revision.codec)
    await connection.execute(delete(row).where(*unknown, replaced))
    await connection.execute(update(row).where(*unknown).values(codec_revision=revision.codec, model_id=""))
