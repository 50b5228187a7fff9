"""What a codec makes of recordings, and when it is asked."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.contract.frames import Frames
from services.contract.model import Revision
from services.contract.tokenization import TokenizedRecording
from services.gateway.voices.references import References
from services.gateway.voices.stored_voice import StoredVoice
from services.runtime.errors import InvalidRequest, StageUnavailable, WrongRevision

from ..conftest import REVISION, speaker_of


@pytest.fixture
def references(stages, store):
    return References(stages, store)


def stored(codec_revision: str, recording: bytes, voice_id: str = "ann") -> StoredVoice:
    tokens = TokenizedRecording(speaker_of(1), Frames.of_codes([1]), 1.0, recording)
    return StoredVoice(voice_id, "Ann", "double", codec_revision, tokens, "Hm.", "00", datetime.now(UTC))


@pytest.mark.parametrize("recording", [b"", b"audio"])
async def test_voice_of_the_served_codec_is_what_was_stored(references, stages, doubles, recording):
    voice = stored(REVISION.codec, recording)
    assert await references.of_voice(voice, stages.model()) == voice.tokens
    assert doubles.tokenizer.calls == 0


@pytest.mark.parametrize("codec_revision", ["another codec", "yet another", ""])
async def test_voice_of_another_codec_is_read_again_and_keeps_its_recording(
    references, stages, store, doubles, codec_revision
):
    await store.add(stored(codec_revision, b"audio"))
    made = await references.of_voice(await store.find("ann"), stages.model())
    assert (made.speaker, made.frames) == (speaker_of(5, *b"aud"), Frames.of_codes(list(b"audio")))
    found = await store.find("ann")
    assert (found.codec_revision, found.tokens, found.transcript) == (REVISION.codec, made, "Hm.")
    assert await store.recording("ann") == b"audio"
    assert doubles.tokenizer.calls == 1


@pytest.mark.parametrize("codec_revision", ["another codec", "yet another", ""])
async def test_voice_of_another_codec_without_a_recording_is_refused(
    references, stages, store, doubles, codec_revision
):
    await store.add(stored(codec_revision, b""))
    with pytest.raises(InvalidRequest, match=r"'ann' was cloned with another codec.*create it again") as raised:
        await references.of_voice(await store.find("ann"), stages.model())
    assert raised.value.field == "voice"
    assert doubles.tokenizer.calls == 0


async def test_voice_whose_recording_the_codec_refuses_stays_as_it_was(references, stages, store):
    await store.add(stored("another codec", b"bad"))
    with pytest.raises(InvalidRequest, match="no audio"):
        await references.of_voice(await store.find("ann"), stages.model())
    assert (await store.find("ann")).codec_revision == "another codec"


async def test_reference_is_read_once_for_each_codec(references, stages, doubles):
    model = stages.model()
    for _ in range(2):
        assert (await references.tokens(b"audio", "Hm.", model)).speaker == speaker_of(5, *b"aud")
    assert doubles.tokenizer.calls == 1
    doubles.tokenizer.model = replace(doubles.tokenizer.model, revision=Revision("a later codec", REVISION.llm))
    later = replace(model, revision=doubles.tokenizer.model.revision)
    await references.tokens(b"audio", "Hm.", later)
    assert doubles.tokenizer.calls == 2


@pytest.mark.parametrize("wrong", [1, 2, 5])
async def test_replicas_of_another_revision_are_passed_over(references, stages, doubles, wrong):
    answers = iter(range(wrong))

    async def before(place: int) -> None:
        for _ in answers:
            raise WrongRevision("Another is served here.")

    doubles.tokenizer.before = before
    assert (await references.recorded(b"audio", "Hm.", stages.model())).recording == b"audio"
    assert doubles.tokenizer.calls == wrong + 1


async def test_tokenizer_of_another_revision_everywhere_is_unavailable(references, stages):
    with pytest.raises(StageUnavailable, match="No replica of the tokenizer"):
        await references.tokens(b"audio", "Hm.", replace(stages.model(), revision=Revision("nobody's", REVISION.llm)))
