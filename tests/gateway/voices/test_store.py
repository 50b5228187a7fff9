"""One suite for every database that the store takes."""

import asyncio
from datetime import UTC, datetime

import pytest

from services.gateway.speech import DesignedVoice, Gender, Level
from services.gateway.tokens import ReferenceTokens, SpeakerTokens
from services.gateway.voices.store import StoredVoice
from services.runtime.errors import VoiceExists

REFERENCE = ReferenceTokens(SpeakerTokens((1, 2, 4095)), (0, 1023, 70000), 2.5)
DESIGN = DesignedVoice(Gender.MALE, Level.LOW)


def voice(voice_id: str, name: str = "Ann") -> StoredVoice:
    return StoredVoice(voice_id, name, "m", REFERENCE, "so it goes", "ab" * 32, datetime(2026, 1, 2, 3, tzinfo=UTC))


async def test_voice_is_found_as_it_was_added_after_a_restart(open_store):
    await (await open_store()).add(voice("ann"))
    assert await (await open_store()).find("ann") == voice("ann")


async def test_voice_that_is_not_there_is_none(open_store):
    assert await (await open_store()).find("ann") is None


async def test_voices_are_listed_by_id(open_store):
    store = await open_store()
    for name in ("b", "a", "c"):
        await store.add(voice(name))
    assert [v.id for v in await store.all()] == ["a", "b", "c"]


async def test_second_voice_of_an_id_is_refused_and_the_first_stays(open_store):
    store = await open_store()
    await store.add(voice("ann"))
    with pytest.raises(VoiceExists) as raised:
        await store.add(voice("ann", "Other"))
    assert raised.value.field == "voice_id"
    assert (await store.find("ann")).display_name == "Ann"


async def test_of_many_gateways_that_add_one_id_exactly_one_succeeds(open_store):
    stores = [await open_store() for _ in range(4)]
    outcomes = await asyncio.gather(
        *(store.add(voice("ann", str(n))) for n, store in enumerate(stores)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + 3 * ["VoiceExists"]
    winner = outcomes.index(None)
    assert (await stores[0].find("ann")).display_name == str(winner)


async def test_removing_says_whether_there_was_one(open_store):
    store = await open_store()
    await store.add(voice("ann"))
    assert await store.remove("ann")
    assert not await store.remove("ann")
    assert await store.find("ann") is None


async def test_of_racing_gateways_all_get_the_designed_speaker_that_was_kept(open_store):
    stores = [await open_store() for _ in range(4)]
    kept = await asyncio.gather(
        *(store.keep_designed_speaker("m", DESIGN, SpeakerTokens((n,), (9, n))) for n, store in enumerate(stores))
    )
    assert len(set(kept)) == 1
    assert await (await open_store()).designed_speaker("m", DESIGN) == kept[0]


async def test_designed_speakers_of_other_models_and_designs_are_apart(open_store):
    store = await open_store()
    await store.keep_designed_speaker("m", DESIGN, SpeakerTokens((1,)))
    assert await store.designed_speaker("other", DESIGN) is None
    assert await store.designed_speaker("m", DesignedVoice(Gender.MALE, Level.HIGH)) is None


async def test_reference_is_kept_for_its_model_only(open_store):
    store = await open_store()
    await store.keep_reference("m", "aa", REFERENCE)
    await store.keep_reference("m", "aa", REFERENCE)
    assert await store.reference("m", "aa") == REFERENCE
    assert await store.reference("other", "aa") is None


async def test_oldest_references_are_forgotten_over_the_limit(open_store):
    store = await open_store(max_references=2)
    for name in ("a", "b", "c"):
        await store.keep_reference("m", name, REFERENCE)
    assert [await store.reference("m", name) is not None for name in ("a", "b", "c")] == [False, True, True]


async def test_gateways_that_start_together_all_find_their_tables(open_store):
    stores = await asyncio.gather(*(open_store() for _ in range(4)))
    await stores[0].add(voice("ann"))
    assert await stores[3].find("ann") == voice("ann")
