import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.contract.design import DesignedVoice, Gender, Level
from services.gateway.request import NamedVoice, ReferenceVoice, Style
from services.gateway.tokens import ClonedTokens, ContinuedTokens, DesignedTokens, ReferenceTokens, SpeakerTokens
from services.gateway.voices.aliases import ALIASES
from services.gateway.voices.catalogue import VoiceCatalogue
from services.gateway.voices.resolver import VoiceResolver
from services.gateway.voices.store import StoredVoice, VoiceStore
from services.runtime.errors import GenerationFailed, InvalidRequest, Overloaded, VoiceNotFound
from voxline.v1 import model_pb2

DESIGN = DesignedVoice(Gender.FEMALE, Level.HIGH)


@pytest.fixture
def resolver(stages, store):
    return VoiceResolver(stages, store)


async def test_designed_voice_keeps_the_speaker_that_was_made_up_first(resolver, doubles):
    first = await resolver.resolve(DESIGN, Style())
    assert first == DesignedTokens(DESIGN, SpeakerTokens((1, 1, 1, 1), (7, 1)))
    assert await resolver.resolve(DESIGN, Style()) == first
    assert len(doubles.llm.requests) == 1


async def test_designed_voice_is_the_same_after_a_restart(stages, doubles, tmp_path):
    resolved = []
    for _ in range(2):
        store = VoiceStore(f"sqlite:///{tmp_path}/voices.db")
        await store.start()
        resolved.append(await VoiceResolver(stages, store).resolve(DESIGN, Style()))
        await store.stop()
    assert resolved[0] == resolved[1]
    assert len(doubles.llm.requests) == 1


async def test_racing_requests_for_a_new_design_get_one_speaker(resolver):
    resolved = await asyncio.gather(*(resolver.resolve(DESIGN, Style()) for _ in range(5)))
    assert len(set(resolved)) == 1


async def test_speaker_selection_does_not_depend_on_chance_and_frees_the_sequence(resolver, doubles):
    doubles.llm.before = lambda place: asyncio.Event().wait()
    await resolver.resolve(DESIGN, Style())
    assert doubles.llm.requests[0].sampling.HasField("seed")
    await doubles.llm.live.until(0)


async def test_speaker_selection_that_fails_is_tried_with_another_seed(resolver, doubles):
    doubles.llm.speaker = failing_once(doubles.llm.speaker, GenerationFailed("half"))
    assert (await resolver.resolve(DESIGN, Style())).speaker is not None
    seeds = [request.sampling.seed for request in doubles.llm.requests]
    assert len(set(seeds)) == 2


async def test_speaker_selection_without_capacity_says_so(resolver, doubles):
    doubles.llm.speaker = failing_once(doubles.llm.speaker, Overloaded("No room.", retry_after=3.0))
    with pytest.raises(Overloaded, match=r"No room\.") as raised:
        await resolver.resolve(DESIGN, Style())
    assert raised.value.retry_after == 3.0


def failing_once(call, error):
    failures = iter((error,))

    def instead(request):
        for failure in failures:
            raise failure
        return call(request)

    return instead


@pytest.mark.parametrize(
    ("name", "design"),
    [("", DesignedVoice(Gender.FEMALE)), ("male", DesignedVoice(Gender.MALE)), ("onyx", ALIASES["onyx"])],
)
async def test_default_built_in_and_alias_are_designed(resolver, name, design):
    assert (await resolver.resolve(NamedVoice(name), Style())).design == design


async def test_style_changes_the_levels_of_a_designed_voice(resolver):
    style = Style(gender=Gender.MALE, speed=Level.LOW)
    resolved = await resolver.resolve(replace(DESIGN), style)
    assert resolved.design == DesignedVoice(Gender.MALE, Level.HIGH, Level.LOW)
    assert (await resolver.resolve(NamedVoice("female"), style)).design == DesignedVoice(
        Gender.MALE, Level.MODERATE, Level.LOW
    )


async def test_stored_voice_calls_neither_tokenizer_nor_llm(resolver, stages, store, doubles):
    await VoiceCatalogue(stages, store).create("ann", "Ann", b"audio", "")
    await doubles.stop("tokenizer")
    resolved = await resolver.resolve(NamedVoice("ann"), Style(pitch=Level.LOW))
    assert resolved == ClonedTokens(SpeakerTokens((5, *b"aud")))
    assert doubles.llm.requests == []


async def test_transcript_goes_with_the_codes_of_the_recording(resolver):
    resolved = await resolver.resolve(ReferenceVoice(b"audio", "so it goes"), Style())
    assert resolved == ContinuedTokens(SpeakerTokens((5, *b"aud")), tuple(b"audio"), "so it goes")


async def test_transcript_is_left_out_for_a_model_that_cannot_use_it(resolver, doubles, stages):
    doubles.llm.model.capabilities.remove(model_pb2.CAPABILITY_CLONE_WITH_TRANSCRIPT)
    await doubles.stop("llm")
    await stages.until(lambda: bool(stages.reasons()))
    await doubles.start("llm")
    await stages.until(lambda: not stages.reasons())
    assert isinstance(await resolver.resolve(ReferenceVoice(b"audio", "so it goes"), Style()), ClonedTokens)


async def test_same_recording_is_tokenized_once(resolver, doubles):
    first = await resolver.resolve(ReferenceVoice(b"audio"), Style())
    assert await resolver.resolve(ReferenceVoice(b"audio"), Style()) == first
    await resolver.resolve(ReferenceVoice(b"other"), Style())
    assert doubles.tokenizer.calls == 2


async def test_recording_that_is_none_names_the_field(resolver):
    with pytest.raises(InvalidRequest) as raised:
        await resolver.resolve(ReferenceVoice(b"bad"), Style())
    assert raised.value.field == "audio"


async def test_unknown_voice_is_not_found(resolver):
    with pytest.raises(VoiceNotFound, match="'nobody'"):
        await resolver.resolve(NamedVoice("nobody"), Style())


async def test_voice_of_another_model_is_refused_with_what_to_do(resolver, store):
    reference = ReferenceTokens(SpeakerTokens((1,)), (1,), 1.0)
    await store.add(StoredVoice("old", "Old", "before", reference, "", "00", datetime.now(UTC)))
    with pytest.raises(InvalidRequest, match=r"cloned with the model 'before'.*create it again"):
        await resolver.resolve(NamedVoice("old"), Style())
