"""The pipeline against servers that speak the real protocol; what was spoken is read back from the audio."""

import asyncio
import time
from contextlib import aclosing

import numpy as np
import pytest

from services.contract.design import DesignedVoice, Gender
from services.contract.generation import FinishReason, GenerationRequest, HeardVoice, MadeUpVoice, Pace
from services.contract.sampling import Sampling
from services.gateway.reply import Usage
from services.gateway.request import NamedVoice, Output, ReferenceVoice, SpeechRequest, Turn
from services.runtime import request_context
from services.runtime.errors import (
    DeadlineExceeded,
    InvalidRequest,
    Overloaded,
    StageUnavailable,
    VoiceNotFound,
)

from .conftest import FIELD, PATIENCE, RATE, heard, speaker_of, spoken, synthesis_of

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
    assert doubles.llm.kinds == [MadeUpVoice, HeardVoice, MadeUpVoice]


async def test_designed_voice_is_one_speaker_in_all_segments_and_requests(synthesis, doubles):
    voice = DesignedVoice(Gender.MALE)
    for _ in range(2):
        await heard(synthesis.speak(request(LONG, voice), Usage()))
    assert {r.voice.speaker for r in doubles.llm.spoken} == {speaker_of(1, 1, 1, 1)}
    assert {config.speaker for config in doubles.detokenizer.configs} == {speaker_of(1, 1, 1, 1)}


async def test_pause_is_heard_between_segments_only(stages, store, registry):
    synthesis = synthesis_of(stages, store, registry, pause_seconds=0.04)
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
    sampling = Sampling(seed=2**63 - 2)
    for _ in range(2):
        await heard(synthesis.speak(request(LONG, sampling=sampling), Usage.of(sampling)))
    drawn = [r.sampling.seed for r in doubles.llm.spoken]
    assert drawn == 2 * [2**63 - 2, 2**63 - 1, 0]


async def test_sampling_goes_to_the_llm_as_it_was_asked_for(synthesis, doubles):
    asked = Sampling(temperature=0.5, top_k=3, seed=1)
    await heard(synthesis.speak(request("Hi.", sampling=asked), Usage.of(asked)))
    sampling = doubles.llm.spoken[0].sampling
    assert (sampling.temperature, sampling.top_k, sampling.seed) == (0.5, 3, 1)
    assert sampling.top_p is None


async def test_sampling_that_does_not_fit_the_wire_names_its_field(synthesis):
    with pytest.raises(InvalidRequest) as raised:
        await heard(synthesis.speak(request("Hi.", sampling=Sampling(top_k=-1)), Usage()))
    assert raised.value.field == "sampling.top_k"


async def test_llm_is_told_how_its_codes_are_played(synthesis, doubles, stages):
    await heard(synthesis.speak(request("Hi."), Usage()))
    (asked,) = doubles.llm.spoken
    assert asked.pace == stages.model().pace == Pace(1 + FIELD, 50.0)


def cut_once(doubles) -> None:
    """The first generation of a text is cut by its limit."""
    reasons = iter([FinishReason.LENGTH])
    doubles.llm.reason = lambda request: next(reasons, FinishReason.STOP)


async def test_whole_reply_that_was_cut_is_drawn_anew_and_heard_once(synthesis, doubles):
    await heard(synthesis.speak(request("Hi."), Usage()))
    cut_once(doubles)
    draws = iter(("Hi! again", "Hi."))
    doubles.llm.draws = lambda request: [ord(character) for character in next(draws)]
    usage = Usage()
    assert await heard(synthesis.speak(request("Hi.", output=Output(whole=True)), usage)) == "Hi."
    assert (usage.truncated, usage.retries) == (False, 1)


async def test_listener_who_hears_the_cut_part_is_told_of_it(synthesis, doubles):
    await heard(synthesis.speak(request("Hi."), Usage()))
    cut_once(doubles)
    heard_some = asyncio.Event()

    async def before(place: int) -> None:
        if place == 3:
            await heard_some.wait()

    doubles.llm.before = before
    usage, got = Usage(), []
    async for audio in synthesis.speak(request("Hi."), usage):
        got.append(audio.samples)
        heard_some.set()
    assert spoken(np.concatenate(got)) == "Hi."
    assert (usage.truncated, usage.retries) == (True, 0)


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
    getattr(doubles, stage).before = failing_at(place, Overloaded("No room.", retry_after=0.05))
    with pytest.raises(Overloaded, match=r"No room\.") as raised:
        await heard(synthesis.speak(request(LONG), Usage()))
    assert raised.value.retry_after == 0.05
    await doubles.llm.live.until(0)
    await doubles.detokenizer.live.until(0)


async def test_error_in_a_later_segment_comes_after_the_audio_before_it(synthesis, doubles):
    def draws(request: GenerationRequest) -> list[int]:
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
