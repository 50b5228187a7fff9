"""The pipeline against servers that speak the real protocol; what was spoken is read back from the audio."""

import asyncio
import time
from contextlib import aclosing

import numpy as np
import pytest

from services.gateway.generation import Generation
from services.gateway.metrics import GatewayMetrics
from services.gateway.reply import Usage
from services.gateway.request import (
    DesignedVoice,
    Gender,
    NamedVoice,
    ReferenceVoice,
    Sampling,
    SpeechRequest,
    Turn,
)
from services.gateway.synthesis import Synthesis
from services.gateway.voices.resolver import VoiceResolver
from services.runtime import request_context
from services.runtime.errors import (
    DeadlineExceeded,
    GenerationFailed,
    InvalidRequest,
    Overloaded,
    StageUnavailable,
    VoiceNotFound,
)
from voxline.v1 import llm_pb2

from .conftest import PATIENCE, RATE, heard, spoken

SEGMENTS = [
    "The first sentence is here to be spoken.",
    "Then comes the second one, as it must.",
    "And the third ends it all.",
]
LONG = " ".join(SEGMENTS)


def request(text: str, voice=None, **changes) -> SpeechRequest:
    return SpeechRequest((Turn(text, voice or NamedVoice("")),), **changes)


async def test_segments_are_heard_in_order_and_once(synthesis, doubles):
    assert await heard(synthesis.speak(request(LONG), Usage())) == "".join(SEGMENTS)
    assert doubles.llm.texts == SEGMENTS


async def test_turns_are_spoken_each_in_its_voice(synthesis, doubles):
    turns = (
        Turn("One.", NamedVoice("male")),
        Turn("Two.", ReferenceVoice(b"audio")),
        Turn("Three.", NamedVoice("male")),
    )
    assert await heard(synthesis.speak(SpeechRequest(turns), Usage())) == "One.Two.Three."
    kinds = [r.WhichOneof("voice") for r in doubles.llm.spoken]
    assert kinds == ["design", "clone", "design"]


async def test_designed_voice_is_one_speaker_in_all_segments_and_requests(synthesis, doubles):
    voice = DesignedVoice(Gender.MALE)
    for _ in range(2):
        await heard(synthesis.speak(request(LONG, voice), Usage()))
    speakers = {tuple(r.design.speaker.global_tokens) for r in doubles.llm.spoken}
    assert speakers == {(1, 1, 1, 1)}
    assert {tuple(config.speaker.global_tokens) for config in doubles.detokenizer.configs} == speakers
    assert doubles.llm.spoken[-1].design.speaker.style_tokens == [7, 1]


async def test_pause_is_heard_between_segments_only(stages, store, registry):
    resolver, generation = VoiceResolver(stages, store), Generation(stages, GatewayMetrics(registry))
    synthesis = Synthesis(stages, resolver, generation, 0.04)
    assert await heard(synthesis.speak(request(LONG), Usage())) == "00".join(SEGMENTS)


async def test_next_segment_is_drawn_while_this_one_plays_and_no_further(synthesis, doubles):
    """The detokenizer holds back the first segment; the LLM may finish the second, and must not start the third."""
    playing = asyncio.Event()
    doubles.detokenizer.before = lambda place: playing.wait()
    listener = asyncio.create_task(heard(synthesis.speak(request(LONG), Usage())))
    async with asyncio.timeout(PATIENCE):
        while doubles.llm.texts != SEGMENTS[:2]:
            await doubles.llm.live.until(1)
            await doubles.llm.live.until(0)
    playing.set()
    assert await listener == "".join(SEGMENTS)


async def test_usage_counts_all_segments(synthesis):
    usage = Usage()
    await heard(synthesis.speak(request(LONG), usage))
    assert (usage.input_tokens, usage.output_tokens) == (30, sum(map(len, SEGMENTS)))


@pytest.mark.parametrize("text", [".", "... !", "\N{GRINNING FACE}"])
async def test_text_with_nothing_to_say_is_a_short_silence_without_the_llm(synthesis, doubles, text):
    chunks = [audio async for audio in synthesis.speak(request(text), Usage())]
    samples = np.concatenate([audio.samples for audio in chunks])
    assert len(samples) == 0.2 * RATE
    assert not samples.any()
    assert doubles.llm.texts == []


@pytest.mark.parametrize("text", ["7", "声", "नमस्ते"])
async def test_letters_and_digits_of_any_script_are_spoken(synthesis, doubles, text):
    doubles.llm.draws = lambda request: [1]
    await heard(synthesis.speak(request(text), Usage()))
    assert doubles.llm.texts == [text]


async def test_seed_of_a_request_fixes_those_of_all_segments(synthesis, doubles):
    for _ in range(2):
        await heard(synthesis.speak(request(LONG, sampling=Sampling(seed=2**63 - 2)), Usage()))
    drawn = [r.sampling.seed for r in doubles.llm.spoken]
    assert drawn == 2 * [2**63 - 2, 2**63 - 1, 0]


async def test_sampling_goes_to_the_llm_as_it_was_asked_for(synthesis, doubles):
    await heard(synthesis.speak(request("Hi.", sampling=Sampling(temperature=0.5, top_k=3, seed=1)), Usage()))
    sampling = doubles.llm.spoken[0].sampling
    assert (sampling.temperature, sampling.top_k, sampling.seed) == (0.5, 3, 1)
    assert not sampling.HasField("top_p")


async def test_sampling_that_does_not_fit_the_wire_names_its_field(synthesis):
    with pytest.raises(InvalidRequest) as raised:
        await heard(synthesis.speak(request("Hi.", sampling=Sampling(top_k=-1)), Usage()))
    assert raised.value.field == "sampling.top_k"


async def test_llm_is_told_how_its_codes_are_played(synthesis, doubles, stages):
    await heard(synthesis.speak(request("Hi."), Usage()))
    (asked,) = doubles.llm.spoken
    assert (asked.pace.first_codes, asked.pace.codes_per_second) == (stages.pace().first_codes, 50.0)


async def test_empty_generation_is_tried_once_more_unheard_and_counted(synthesis, doubles, registry):
    answers = iter(([], [65, 66]))
    doubles.llm.draws = lambda r: next(answers) if r.text == "Hi." else [1]
    assert await heard(synthesis.speak(request("Hi."), Usage())) == "AB"
    first, second = doubles.llm.spoken
    assert first.sampling.seed != second.sampling.seed
    assert registry.get_sample_value("voxline_gateway_empty_generations_total") == 1


@pytest.mark.parametrize(("seed", "attempts"), [(None, 2), (5, 1)])
async def test_generation_that_stays_empty_fails(synthesis, doubles, seed, attempts):
    doubles.llm.draws = lambda request: []
    with pytest.raises(GenerationFailed, match="drew no speech"):
        await heard(synthesis.speak(request("Hi.", sampling=Sampling(seed=seed)), Usage()))
    assert len(doubles.llm.spoken) == attempts


async def test_listener_who_leaves_frees_both_stages(synthesis, doubles):
    async def hold_after_ten(place: int) -> None:
        if place == 10:
            await asyncio.Event().wait()

    await synthesis.speak(request("Hi."), Usage()).aclose()
    await heard(synthesis.speak(request("Hi."), Usage()))
    doubles.llm.before = hold_after_ten
    async with aclosing(synthesis.speak(request(LONG), Usage())) as stream:
        await anext(stream)
        assert (doubles.llm.live.count, doubles.detokenizer.live.count) == (1, 1)
    await doubles.llm.live.until(0)
    await doubles.detokenizer.live.until(0)


async def test_listener_who_is_cancelled_frees_both_stages(synthesis, doubles):
    doubles.detokenizer.before = lambda place: asyncio.Event().wait()
    listener = asyncio.create_task(heard(synthesis.speak(request(LONG), Usage())))
    await doubles.detokenizer.live.until(1)
    listener.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listener
    await doubles.llm.live.until(0)
    await doubles.detokenizer.live.until(0)


def failing_at(place: int, error: Exception):
    async def before(now: int) -> None:
        if now == place:
            raise error

    return before


@pytest.mark.parametrize("stage", ["llm", "detokenizer"])
@pytest.mark.parametrize("place", [0, 4])
async def test_error_of_a_stage_comes_through_as_itself(synthesis, doubles, stage, place):
    await heard(synthesis.speak(request("Hi."), Usage()))
    getattr(doubles, stage).before = failing_at(place, Overloaded("No room.", retry_after=7.0))
    with pytest.raises(Overloaded, match=r"No room\.") as raised:
        await heard(synthesis.speak(request(LONG), Usage()))
    assert raised.value.retry_after == 7.0
    await doubles.llm.live.until(0)
    await doubles.detokenizer.live.until(0)


async def test_error_in_a_later_segment_comes_after_the_audio_before_it(synthesis, doubles):
    def draws(request: llm_pb2.GenerateRequest) -> list[int]:
        if request.text == SEGMENTS[1]:
            raise InvalidRequest("Not this.", field="text")
        return [ord(character) for character in request.text]

    doubles.llm.draws = draws
    got = []
    with pytest.raises(InvalidRequest, match=r"Not this\."):
        async for audio in synthesis.speak(request(LONG), Usage()):
            got.append(audio.samples)
    assert spoken(np.concatenate(got)) == SEGMENTS[0]


@pytest.mark.parametrize("stage", ["llm", "detokenizer"])
async def test_stage_that_is_down_is_unavailable(synthesis, doubles, stage):
    await heard(synthesis.speak(request("Hi."), Usage()))
    await doubles.stop(stage)
    with pytest.raises(StageUnavailable):
        await heard(synthesis.speak(request("Hi."), Usage()))


async def test_deadline_of_the_request_holds_for_the_stages(synthesis, doubles):
    await heard(synthesis.speak(request("Hi."), Usage()))
    doubles.llm.before = lambda place: asyncio.Event().wait()
    with (
        request_context.entered(request_context.RequestContext(deadline=time.monotonic() + 0.2)),
        pytest.raises(DeadlineExceeded),
    ):
        await heard(synthesis.speak(request("Hi."), Usage()))
    await doubles.llm.live.until(0)


async def test_unknown_voice_fails_before_any_text_is_spoken(synthesis, doubles):
    with pytest.raises(VoiceNotFound):
        await heard(synthesis.speak(request("Hi.", NamedVoice("nobody")), Usage()))
    assert doubles.llm.requests == []


async def test_many_requests_at_once_do_not_mix(synthesis):
    texts = [f"Request number {n} speaks." for n in range(12)]
    assert await asyncio.gather(*(heard(synthesis.speak(request(text), Usage())) for text in texts)) == texts
