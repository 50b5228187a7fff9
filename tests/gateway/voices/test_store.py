"""One suite for every database that the store takes."""

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from services.contract.design import DesignedVoice, Gender, Level
from services.contract.frames import Frames
from services.contract.model import Revision
from services.contract.speaker import Speaker
from services.contract.tokenization import TokenizedRecording
from services.gateway.voices.database import with_driver
from services.gateway.voices.stored_voice import ListedVoice, StoredVoice
from services.runtime.errors import InvalidRequest, VoiceExists

CREATED = datetime(2026, 1, 2, 3, tzinfo=UTC)
TOKENS = TokenizedRecording(Speaker(b"\0state\xff", (1, 2, 4095)), Frames.of_codes((0, 1023, 70000)), 2.5)
LATENTS = TokenizedRecording(
    Speaker(bytes(3_000_000)), Frames(0, np.linspace(-1, 1, 64, dtype=np.float32).reshape(2, 32)), 0.16
)
DESIGN = DesignedVoice(Gender.MALE, Level.LOW)
REVISION = Revision("codec", "llm")


def voice(voice_id: str, name: str = "Ann", **fields) -> StoredVoice:
    made = StoredVoice(voice_id, name, "m", "codec", TOKENS, "so it goes", "ab" * 32, CREATED)
    return replace(made, **fields)


def recorded(voice_id: str, flac: bytes) -> StoredVoice:
    return voice(voice_id, tokens=replace(TOKENS, recording=flac))


@pytest.mark.parametrize("tokens", [TOKENS, LATENTS])
async def test_voice_is_found_as_it_was_added_after_a_restart(open_store, tokens):
    added = voice("ann", tokens=tokens)
    await (await open_store()).add(added)
    found = await (await open_store()).find("ann")
    assert found == added
    assert found.tokens.speaker.global_tokens == tokens.speaker.global_tokens


async def test_voice_that_is_not_there_is_none(open_store):
    store = await open_store()
    assert await store.find("ann") is None
    assert await store.recording("ann") is None
    assert await store.update("ann", "Ann") is None
    assert not await store.retokenized("ann", "codec", TOKENS)
    assert not await store.remove("ann")


async def test_pages_follow_each_other_in_the_order_of_characters(open_store):
    store = await open_store()
    ids = ["b", "a", "a_1", "a-2", "a1", "aa", "ab", "_", "-", "0"]
    for name in ids:
        await store.add(voice(name))
    pages = [await store.page("", 4)]
    while pages[-1]:
        pages.append(await store.page(pages[-1][-1].id, 4))
    assert [len(page) for page in pages] == [4, 4, 2, 0]
    assert [listed.id for page in pages for listed in page] == sorted(ids)


async def test_page_shows_what_was_added(open_store):
    store = await open_store()
    await store.add(voice("ann"))
    assert await store.page("", 1) == (ListedVoice("ann", "Ann", "so it goes", CREATED),)


async def test_voices_that_come_and_go_do_not_move_the_next_page(open_store):
    store = await open_store()
    for name in ("b", "c", "d"):
        await store.add(voice(name))
    await store.remove("b")
    await store.add(voice("a"))
    assert [listed.id for listed in await store.page("b", 10)] == ["c", "d"]


async def test_lists_and_finding_read_no_more_than_they_show(open_store, url):
    """What they do not read may be damaged, or of the wrong type as far as the database allows."""
    store = await open_store()
    await store.add(recorded("ann", b"fLaC"))
    engine = create_async_engine(with_driver(url))
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE recordings"))
        assert await store.find("ann") == voice("ann")
        for column in ("frames", "speaker_state", "global_tokens"):
            await connection.execute(text(f"ALTER TABLE voices DROP COLUMN {column}"))
    await engine.dispose()
    assert [listed.id for listed in await store.page("", 1)] == ["ann"]


async def test_second_voice_of_an_id_is_refused_and_the_first_stays(open_store):
    store = await open_store()
    await store.add(recorded("ann", b"first"))
    with pytest.raises(VoiceExists) as raised:
        await store.add(voice("ann", "Other", tokens=replace(TOKENS, recording=b"second")))
    assert raised.value.field == "voice_id"
    assert (await store.find("ann")).display_name == "Ann"
    assert await store.recording("ann") == b"first"


async def test_of_many_gateways_that_add_one_id_exactly_one_succeeds(open_store):
    stores = [await open_store() for _ in range(4)]
    outcomes = await asyncio.gather(
        *(store.add(voice("ann", str(n))) for n, store in enumerate(stores)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + 3 * ["VoiceExists"]
    winner = outcomes.index(None)
    assert (await stores[0].find("ann")).display_name == str(winner)


async def test_recording_is_kept_and_goes_with_its_voice(open_store):
    store = await open_store()
    await store.add(recorded("ann", b"fLaC\0"))
    await store.add(recorded("bob", b"his"))
    await store.add(voice("eve"))
    assert await store.find("ann") == voice("ann")
    assert [await store.recording(name) for name in ("ann", "bob", "eve")] == [b"fLaC\0", b"his", None]
    assert await store.remove("ann")
    assert [await store.recording(name) for name in ("ann", "bob")] == [None, b"his"]
    await store.add(voice("ann"))
    assert await store.recording("ann") is None


async def test_recording_is_never_without_its_voice_nor_of_another_while_many_remove_and_add(open_store):
    stores = [await open_store() for _ in range(4)]
    for turn in range(20):
        added = [recorded("ann", f"{turn}.{number}".encode()) for number in range(2)]
        work = [stores[number].add(replace(each, display_name=str(number))) for number, each in enumerate(added)]
        await asyncio.gather(stores[2].remove("ann"), *work, stores[3].remove("ann"), return_exceptions=True)
        found = await stores[0].find("ann")
        kept = None if found is None else added[int(found.display_name)].tokens.recording
        assert await stores[0].recording("ann") == kept
        await stores[0].remove("ann")


async def test_removing_says_whether_there_was_one(open_store):
    store = await open_store()
    await store.add(voice("ann"))
    assert await store.remove("ann")
    assert not await store.remove("ann")
    assert await store.find("ann") is None


async def test_update_changes_what_is_given_and_nothing_else(open_store):
    store = await open_store()
    await store.add(recorded("ann", b"hers"))
    await store.add(voice("bob", "Bob"))
    assert await store.update("ann", display_name="Änne") == ListedVoice("ann", "Änne", "so it goes", CREATED)
    assert await store.update("ann", transcript="") == ListedVoice("ann", "Änne", "", CREATED)
    assert await store.update("ann") == ListedVoice("ann", "Änne", "", CREATED)
    assert await store.find("ann") == voice("ann", "Änne", transcript="")
    assert await store.find("bob") == voice("bob", "Bob")
    assert await store.recording("ann") == b"hers"


async def test_voice_that_another_codec_has_read_keeps_all_else(open_store):
    store = await open_store()
    await store.add(recorded("ann", b"hers"))
    await store.add(voice("bob"))
    assert await store.retokenized("ann", "new", LATENTS)
    assert await store.find("ann") == voice("ann", codec_revision="new", tokens=LATENTS)
    assert await store.find("bob") == voice("bob")
    assert await store.recording("ann") == b"hers"


@pytest.mark.parametrize("bad", ["a\0b", "\0", "a\ud800", "\udfffb"])
async def test_text_that_not_every_database_stores_is_refused_by_name(open_store, bad):
    for field, name in (("id", "voice_id"), ("display_name", "display_name"), ("transcript", "transcript")):
        with pytest.raises(InvalidRequest) as raised:
            replace(voice("ann"), **{field: bad})
        assert raised.value.field == name
    store = await open_store()
    await store.add(voice("ann"))
    for field in ("display_name", "transcript"):
        with pytest.raises(InvalidRequest) as raised:
            await store.update("ann", **{field: bad})
        assert raised.value.field == field
    assert await store.find("ann") == voice("ann")


@pytest.mark.parametrize("bad", ["ann\0", "\ud800"])
async def test_id_that_not_every_database_stores_is_no_voice(open_store, bad):
    store = await open_store()
    await store.add(voice("ann"))
    assert await store.find(bad) is None
    assert await store.recording(bad) is None
    assert await store.update(bad, "Bad") is None
    assert not await store.retokenized(bad, "new", LATENTS)
    assert not await store.remove(bad)
    with pytest.raises(InvalidRequest) as raised:
        await store.page(bad, 10)
    assert raised.value.field == "page_token"


@pytest.mark.parametrize(
    "odd", ["\U0001d49c\U0010ffff", "\x01\x7f\u2028", "'; DROP TABLE voices; --", "%_\\", "e\u0301", ""]
)
async def test_unusual_text_comes_back_as_it_was(open_store, odd):
    store = await open_store()
    await store.add(voice("ann", odd, transcript=odd))
    assert await store.find("ann") == voice("ann", odd, transcript=odd)
    assert await store.update("ann", odd, odd) == ListedVoice("ann", odd, odd, CREATED)


async def test_of_racing_gateways_all_get_the_designed_speaker_that_was_kept(open_store):
    stores = [await open_store() for _ in range(4)]
    kept = await asyncio.gather(
        *(
            store.keep_designed_speaker("m", REVISION, DESIGN, Speaker(bytes([n]), (n,)))
            for n, store in enumerate(stores)
        )
    )
    assert len({speaker.state for speaker in kept}) == 1
    found = await (await open_store()).designed_speaker("m", REVISION, DESIGN)
    assert (found.state, found.global_tokens) == (kept[0].state, kept[0].global_tokens)


async def test_designed_speakers_of_other_models_revisions_and_designs_are_apart(open_store):
    store = await open_store()
    designs = [DesignedVoice(*each) for each in itertools.product(Gender, Level, Level)]
    keys = [("m", REVISION, design) for design in designs]
    keys += [
        ("other", REVISION, DESIGN),
        ("m", Revision("new", "llm"), DESIGN),
        ("m", Revision("codec", "new"), DESIGN),
    ]
    for place, key in enumerate(keys):
        assert await store.designed_speaker(*key) is None
        await store.keep_designed_speaker(*key, Speaker(bytes([place])))
    assert [(await store.designed_speaker(*key)).state[0] for key in keys] == list(range(len(keys)))


async def test_reference_is_kept_for_its_codec_only_and_without_the_recording(open_store):
    store = await open_store()
    await store.keep_reference("codec", "aa", replace(TOKENS, recording=b"hers"))
    await store.keep_reference("codec", "aa", LATENTS)
    assert await store.reference("codec", "aa") == TOKENS
    assert await store.reference("other", "aa") is None


async def test_oldest_references_are_forgotten_over_the_limit(open_store):
    store = await open_store(max_references=2)
    for name in ("a", "b", "c"):
        await store.keep_reference("codec", name, TOKENS)
    assert [await store.reference("codec", name) is not None for name in ("a", "b", "c")] == [False, True, True]


async def test_gateways_that_start_together_all_find_their_tables(open_store):
    stores = await asyncio.gather(*(open_store() for _ in range(4)))
    await stores[0].add(voice("ann"))
    assert await stores[3].find("ann") == voice("ann")


async def test_voice_of_another_owner_is_not_there(open_store):
    store = await open_store()
    await store.add(replace(recorded("ann", b"hers"), owner="a"))
    for owner in ("", "b"):
        assert await store.recording("ann", owner) is None
        assert await store.update("ann", "Other", owner=owner) is None
        assert not await store.retokenized("ann", "new", LATENTS, owner)
        assert not await store.remove("ann", owner)
    assert await store.find("ann") == voice("ann", owner="a")
    assert await store.owner("ann") == "a"
    assert await store.recording("ann", "a") == b"hers"
    assert (await store.update("ann", "Änne", owner="a")).owner == "a"
    assert await store.retokenized("ann", "new", LATENTS, "a")
    assert await store.remove("ann", "a")
    assert await store.owner("ann") is None


async def test_pages_of_owners_show_theirs_alone_in_one_order(open_store):
    store = await open_store()
    for place in range(30):
        await store.add(voice(f"v{place:02}", owner=("", "a", "b")[place % 3]))
    pages = [await store.page("", 7, {"", "a"})]
    while pages[-1]:
        pages.append(await store.page(pages[-1][-1].id, 7, {"", "a"}))
    assert [each.id for page in pages for each in page] == [f"v{place:02}" for place in range(30) if place % 3 != 2]
    assert len(await store.page("", 100)) == 30
    assert [await store.count(owner) for owner in ("", "a", "b", "c")] == [10, 10, 10, 0]
