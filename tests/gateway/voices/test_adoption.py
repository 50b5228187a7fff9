import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from services.contract.design import DesignedVoice, Gender, Level
from services.contract.frames import Frames
from services.contract.model import Revision
from services.contract.speaker import Speaker
from services.contract.tokenization import TokenizedRecording
from services.gateway.voices.database import with_driver
from services.gateway.voices.stored_voice import StoredVoice
from services.gateway.voices.tables import Base, DesignedSpeakerRow, ReferenceRow

SERVED, NEXT = Revision("codec", "llm"), Revision("next codec", "next llm")
LOW, HIGH = DesignedVoice(Gender.MALE, Level.LOW), DesignedVoice(Gender.MALE, Level.HIGH)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def tokens(state: bytes) -> TokenizedRecording:
    return TokenizedRecording(Speaker(state), Frames.of_codes([1]), 0.02)


def voice(voice_id: str, model_id: str, codec_revision: str) -> StoredVoice:
    return StoredVoice(voice_id, "Ann", model_id, codec_revision, tokens(b"a"), "", "aa", NOW)


def unknown_reference(model_id: str, audio_sha256: str) -> ReferenceRow:
    return ReferenceRow(
        codec_revision="",
        audio_sha256=audio_sha256,
        model_id=model_id,
        seconds=0.02,
        created_at=NOW,
        global_tokens=(),
        frames=Frames.of_codes([1]),
        speaker_state=b"unknown",
    )


@pytest.fixture
async def session(url):
    engine = create_async_engine(with_driver(url))
    yield async_sessionmaker(engine)
    await engine.dispose()


async def put(session, *rows: Base) -> None:
    async with session.begin() as begun:
        begun.add_all(rows)


async def state(store, revision: Revision, audio_sha256: str) -> bytes | None:
    found = await store.reference(revision.codec, audio_sha256)
    return None if found is None else found.speaker.state


async def test_voices_of_an_unknown_revision_are_of_the_one_that_is_served_first(open_store):
    store = await open_store()
    for added in (voice("ann", "m", ""), voice("bob", "other", ""), voice("eve", "m", "known")):
        await store.add(added)
    await store.adopt("m", SERVED)
    await store.adopt("m", NEXT)
    revisions = [(await store.find(name)).codec_revision for name in ("ann", "bob", "eve")]
    assert revisions == ["codec", "", "known"]


async def test_designed_speakers_are_adopted_and_those_that_are_known_stay(open_store, session):
    store = await open_store()
    await store.keep_designed_speaker("m", Revision(), LOW, Speaker(b"unknown low"))
    await store.keep_designed_speaker("m", Revision(), HIGH, Speaker(b"unknown high"))
    await store.keep_designed_speaker("other", Revision(), LOW, Speaker(b"of another"))
    await store.keep_designed_speaker("m", SERVED, LOW, Speaker(b"known low"))
    await store.adopt("m", SERVED)
    await store.adopt("m", NEXT)
    assert (await store.designed_speaker("m", SERVED, LOW)).state == b"known low"
    assert (await store.designed_speaker("m", SERVED, HIGH)).state == b"unknown high"
    assert await store.designed_speaker("m", NEXT, HIGH) is None
    assert (await store.designed_speaker("other", Revision(), LOW)).state == b"of another"
    async with session() as begun:
        assert await begun.scalar(select(func.count()).select_from(DesignedSpeakerRow)) == 3


async def test_references_are_adopted_and_those_that_are_known_stay(open_store, session):
    store = await open_store()
    await store.keep_reference(SERVED.codec, "aa", tokens(b"known"))
    await put(session, *(unknown_reference("m", sha) for sha in ("aa", "bb")), unknown_reference("other", "cc"))
    await store.adopt("m", SERVED)
    await store.adopt("m", NEXT)
    assert [await state(store, SERVED, sha) for sha in ("aa", "bb", "cc")] == [b"known", b"unknown", None]
    assert [await state(store, NEXT, sha) for sha in ("aa", "bb", "cc")] == [None] * 3
    await store.adopt("other", NEXT)
    assert await state(store, NEXT, "cc") == b"unknown"
    async with session() as begun:
        assert await begun.scalar(select(func.count()).select_from(ReferenceRow)) == 3


async def test_models_of_one_codec_share_what_they_adopt(open_store, session):
    store = await open_store()
    await put(session, unknown_reference("m", "aa"))
    await store.adopt("m", SERVED)
    await put(session, unknown_reference("other", "aa"))
    await store.adopt("other", SERVED)
    assert await state(store, SERVED, "aa") == b"unknown"


async def test_of_gateways_that_adopt_at_once_the_first_wins_everywhere(open_store, session):
    stores = [await open_store() for _ in range(4)]
    names = [f"{place:03}" for place in range(100)]
    for name in names[:20]:
        await stores[0].add(voice(name, "m", ""))
    await put(session, *(unknown_reference("m", name) for name in names))
    await stores[0].keep_designed_speaker("m", Revision(), LOW, Speaker(b"unknown"))
    served = [Revision(f"codec {number}", f"llm {number}") for number in range(4)]
    await asyncio.gather(*(store.adopt("m", each) for store, each in zip(stores, served, strict=True)))
    (first,) = {(await stores[0].find(name)).codec_revision for name in names[:20]}
    winner = next(each for each in served if each.codec == first)
    assert {await state(stores[0], winner, name) for name in names} == {b"unknown"}
    assert (await stores[0].designed_speaker("m", winner, LOW)).state == b"unknown"


async def test_what_others_keep_meanwhile_stays(open_store, session):
    stores = [await open_store() for _ in range(2)]
    names = [f"{place:03}" for place in range(40)]
    await put(session, *(unknown_reference("m", name) for name in names))

    async def keep_all() -> None:
        for name in names:
            await stores[1].keep_reference(SERVED.codec, name, tokens(b"known"))

    await asyncio.gather(keep_all(), stores[0].adopt("m", SERVED))
    await keep_all()
    assert {await state(stores[0], SERVED, name) for name in names} <= {b"known", b"unknown"}
    async with session() as begun:
        assert await begun.scalar(select(func.count()).select_from(ReferenceRow)) == len(names)
