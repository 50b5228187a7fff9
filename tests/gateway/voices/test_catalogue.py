import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from services.contract.frames import Frames
from services.contract.tokenization import TokenizedRecording
from services.gateway.access.key import Scope
from services.gateway.access.principal import Principal, entered
from services.gateway.limits import ValueLimits
from services.gateway.metrics import GatewayMetrics
from services.gateway.request import ReferenceVoice, Style
from services.gateway.stages import Stages
from services.gateway.voices.aliases import ALIASES
from services.gateway.voices.catalogue import VoiceCatalogue, slug
from services.gateway.voices.resolver import VoiceResolver
from services.gateway.voices.stored_voice import StoredVoice
from services.runtime.errors import InvalidRequest, TooLarge, Unsupported, VoiceExists, VoiceNotFound

from ..conftest import REVISION, speaker_of


@pytest.fixture
def voices(stages, store):
    return VoiceCatalogue(stages, store, ValueLimits())


async def test_openais_names_are_listed_first_and_designs_last(voices):
    created = await voices.create("ann", "Ann", b"audio", "her words")
    listed = (await voices.list()).voices
    assert [voice.id for voice in listed] == [*ALIASES, "ann", "female", "male"]
    assert listed[len(ALIASES)] == created == await voices.get("ann")
    assert (created.transcript, created.built_in, created.design) == ("her words", False, None)


@pytest.mark.parametrize("name", [" ", "\u200b", "\u3164", "\u2800 \u00ad", "\u0301"])
async def test_name_that_nobody_sees_is_refused(voices, name):
    await voices.create("ann", "Ann", b"audio", "")
    for call in (voices.create("", name, b"audio", ""), voices.update("ann", name, None)):
        with pytest.raises(InvalidRequest) as raised:
            await call
        assert raised.value.field == "display_name"


async def test_name_and_transcript_are_cleaned(voices):
    created = await voices.create("ann", " A\nn\u200bn ", b"audio", "Her\u0001  words.")
    assert (created.display_name, created.transcript) == ("A nn", "Her words.")


@pytest.mark.parametrize(
    ("name", "transcript", "field"), [("x" * 201, "", "display_name"), ("", "x" * 2001, "transcript")]
)
async def test_long_name_or_transcript_is_refused_before_the_audio_is_looked_at(
    voices, doubles, name, transcript, field
):
    with pytest.raises(TooLarge) as raised:
        await voices.create("ann", name, b"audio", transcript)
    assert raised.value.field == field
    assert doubles.tokenizer.calls == 0


async def test_id_is_made_from_the_display_name(voices):
    assert (await voices.create("", "Zoë's  Voice!", b"audio", "")).id == "zoe-s-voice"


async def test_id_is_made_at_random_when_the_name_gives_none(voices):
    first = await voices.create("", "声", b"audio", "")
    second = await voices.create("", "声", b"audio", "")
    assert first.id != second.id
    assert first.display_name == "声"


def test_slug_of_a_long_name_is_a_valid_id():
    assert slug("x" * 100) == "x" * 64


@pytest.mark.parametrize("voice_id", ["Ann", "a b", "a/b", "x" * 65, "é"])
async def test_id_of_another_form_is_refused(voices, voice_id):
    with pytest.raises(InvalidRequest) as raised:
        await voices.create(voice_id, "", b"audio", "")
    assert raised.value.field == "voice_id"


@pytest.mark.parametrize("voice_id", ["female", "alloy", "ann"])
async def test_id_that_is_taken_is_refused_before_the_audio_is_looked_at(voices, doubles, voice_id):
    await voices.create("ann", "Ann", b"audio", "")
    with pytest.raises(VoiceExists):
        await voices.create(voice_id, "", b"other audio", "")
    assert doubles.tokenizer.calls == 1


async def test_one_of_racing_creations_succeeds(voices):
    outcomes = await asyncio.gather(
        *(voices.create("ann", str(n), b"audio", "") for n in range(3)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["VoiceExists", "VoiceExists", "VoiceResource"]


async def test_error_of_the_tokenizer_comes_through_and_nothing_is_stored(voices):
    with pytest.raises(InvalidRequest, match=r"This is no audio\.") as raised:
        await voices.create("ann", "Ann", b"bad", "")
    assert raised.value.field == "audio"
    with pytest.raises(VoiceNotFound):
        await voices.get("ann")


async def test_unknown_voice_is_named_with_the_way_to_list_voices(voices):
    with pytest.raises(VoiceNotFound, match=r"'nobody'.*/v1/audio/voices"):
        await voices.get("nobody")
    with pytest.raises(VoiceNotFound, match="'nobody'"):
        await voices.delete("nobody")


@pytest.mark.parametrize("name", ["Ann", "ANN", "voices/ann", "Voices/Ann", " ann "])
async def test_voice_is_found_however_its_id_is_written(voices, name):
    created = await voices.create("ann", "Ann", b"audio", "")
    assert await voices.get(name) == created
    assert (await voices.update(name, "Annie", None)).id == "ann"
    assert await voices.delete(name) == "ann"


@pytest.mark.parametrize("name", ["Alloy", "voices/alloy", "FEMALE", "voices/Female"])
async def test_built_in_voice_is_found_however_its_id_is_written(voices, name):
    assert (await voices.get(name)).id == name.lower().removeprefix("voices/")
    with pytest.raises(InvalidRequest, match="built in"):
        await voices.delete(name)


@pytest.mark.parametrize("name", [".", "..", "voices/", "voices/..", " ", "..."])
async def test_name_without_an_id_is_refused_as_one(voices, name):
    for call in (voices.get, voices.delete, lambda name: voices.update(name, "Ann", None)):
        with pytest.raises(InvalidRequest, match="names no voice") as raised:
            await call(name)
        assert raised.value.field == "voice"
    with pytest.raises(InvalidRequest):
        await voices.create(name, "", b"audio", "")


@pytest.mark.parametrize("stored", [0, 3, 500])
async def test_unknown_voice_is_told_with_those_that_there_are_within_bounds(voices, store, stored):
    await voices.create("v000", "V", b"audio", "")
    known = await store.find("v000")
    for number in range(1, stored):
        await store.add(replace(known, id=f"v{number:03}" + "x" * 60))
    with pytest.raises(VoiceNotFound) as raised:
        await voices.get("Nobody" * 1000)
    message = raised.value.message
    assert all(name in message for name in (*ALIASES, "female", "male", "v000"))
    assert len(message) < 1500


async def test_anothers_voice_is_not_told(voices):
    await voices.create("ann", "Ann", b"audio", "")
    with entered(Principal("key", "owner", frozenset({Scope.VOICES}))):
        await voices.create("mine", "Mine", b"audio", "")
    with entered(Principal("key", "other", frozenset({Scope.VOICES}))), pytest.raises(VoiceNotFound) as raised:
        await voices.get("nobody")
    assert "ann" in raised.value.message
    assert "mine" not in raised.value.message


async def test_deleted_voice_is_gone_and_its_id_free(voices):
    await voices.create("ann", "Ann", b"audio", "")
    await voices.delete("ann")
    with pytest.raises(VoiceNotFound):
        await voices.get("ann")
    await voices.create("ann", "Ann", b"audio", "")


@pytest.mark.parametrize("voice_id", ["female", "alloy"])
async def test_built_in_voice_cannot_be_deleted(voices, voice_id):
    with pytest.raises(InvalidRequest, match="built in"):
        await voices.delete(voice_id)


async def test_aliases_are_openais_thirteen_names_each_another_design(voices):
    names = "alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse"
    assert " ".join(voice.id for voice in (await voices.list()).voices if voice.alias_of) == names
    assert len(set(ALIASES.values())) == 13
    assert (await voices.get("alloy")).design == ALIASES["alloy"]


async def test_model_that_cannot_clone_is_unsupported(doubles, store):
    await doubles.stop("llm")
    doubles.llm.model = replace(doubles.llm.model, llm=replace(doubles.llm.model.llm, capabilities=frozenset()))
    await doubles.start("llm")
    stages = Stages(doubles.targets, None)
    stages.start()
    await stages.until(lambda: not stages.reasons())
    voices = VoiceCatalogue(stages, store, ValueLimits())
    with pytest.raises(Unsupported, match="'double' cannot clone"):
        await voices.create("ann", "Ann", b"audio", "")
    assert [voice.id for voice in (await voices.list()).voices] == ["female", "male"]
    await stages.stop()


async def test_a_page_fits_into_a_message(voices, store):
    """Voices that were kept before there were limits."""
    await voices.create("ann", "Ann", b"audio", "")
    known = await store.find("ann")
    for number in range(30):
        long = replace(known, id=f"bob{number:02}", transcript="\N{HIRAGANA LETTER A}" * 50_000)
        await store.add(long)
    seen, after = [], "verse"
    while True:
        page = await voices.list(after)
        assert sum(len(voice.transcript.encode()) for voice in page.voices) < 4 * 2**20
        seen += [voice.id for voice in page.voices]
        if not page.next_token:
            break
        after = seen[-1]
    assert seen == ["ann", *(f"bob{number:02}" for number in range(30)), "female", "male"]
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("frames", [201, 400])
async def test_reference_that_is_too_long_to_be_continued_is_refused_with_both_numbers(voices, stages, store, frames):
    resolver, model = VoiceResolver(stages, store, GatewayMetrics(CollectorRegistry())), stages.model()
    audio, rate = bytes(frames), model.frames.frame_rate
    calls = (
        lambda: voices.create("ann", "Ann", audio, "Her words."),
        lambda: resolver.resolve(ReferenceVoice(audio, "Her words."), Style(), model),
    )
    for call in calls:
        with pytest.raises(InvalidRequest, match=rf"may have {200 / rate:g} s, and has {frames / rate:.1f}") as raised:
            await call()
        assert raised.value.field == "audio"
    tokens = TokenizedRecording(speaker_of(1), Frames.of_codes(list(audio)), frames / rate)
    await store.add(StoredVoice("ann", "Ann", "double", REVISION.codec, tokens, "", "00", datetime.now(UTC)))
    with pytest.raises(InvalidRequest):
        await voices.update("ann", None, "Her words.")
    assert (await voices.update("ann", "Anna", "")).display_name == "Anna"


@pytest.mark.parametrize("frames", [201, 400])
async def test_of_a_long_reference_without_transcript_a_part_is_heard_and_told(voices, store, stages, frames):
    resolver, model = VoiceResolver(stages, store, GatewayMetrics(CollectorRegistry())), stages.model()
    start = (frames - 200) / model.frames.frame_rate
    audio = bytes(range(256)) * 2
    created = await voices.create("ann", "Ann", audio[:frames], " ")
    assert created.heard == (start, start + 1)
    assert (await store.find("ann")).tokens.frames.codes == list(audio[frames - 200 : frames])
    assert await store.recording("ann") == audio[frames - 200 : frames]
    once = await resolver.resolve(ReferenceVoice(audio[:frames], ""), Style(), model)
    assert once.speaker == (await store.find("ann")).tokens.speaker
    assert (await voices.update("ann", None, "Words of the part.")).transcript == "Words of the part."
    assert (await voices.get("ann")).heard is None


async def test_what_was_heard_of_a_part_is_not_taken_for_all(voices, stages, store):
    resolver, model = VoiceResolver(stages, store, GatewayMetrics(CollectorRegistry())), stages.model()
    await resolver.resolve(ReferenceVoice(bytes(300), ""), Style(), model)
    with pytest.raises(InvalidRequest, match=r"has 6\.0"):
        await resolver.resolve(ReferenceVoice(bytes(300), "Her words."), Style(), model)


@pytest.mark.parametrize("frames", [1, 200])
async def test_reference_that_can_be_continued_is_taken(voices, frames):
    await voices.create("ann", "Ann", bytes(frames), "Her words.")
