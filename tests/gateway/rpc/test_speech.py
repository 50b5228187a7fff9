"""Synthesize: a text in, a stream of events out."""

import asyncio

import grpc
import pytest

from services.contract.design import DesignedVoice, Gender
from services.contract.generation import FinishReason
from services.contract.sampling import Sampling
from services.runtime.errors import Overloaded, from_rpc_error
from voxline.v1 import audio_pb2, design_pb2
from voxline.v1 import text_to_speech_pb2 as pb

from ..conftest import text_of
from .conftest import audio_of, failure, kinds, listened, speech


async def test_speech_is_config_then_audio_then_usage(stub):
    events = await listened(stub.Synthesize(pb.SynthesizeRequest(text="Hello there.")))
    assert kinds(events) == ["audio_config", "audio", "usage"]
    config = events[0].audio_config
    assert (config.encoding, config.sample_rate_hertz) == (audio_pb2.AUDIO_ENCODING_PCM, 16000)
    assert text_of(audio_of(events)) == "Hello there."
    usage = events[-1].usage
    assert (usage.input_tokens, usage.output_tokens) == (10, 12)
    assert usage.audio_seconds == pytest.approx(12 * 0.02)


@pytest.mark.parametrize(
    ("reason", "said"),
    [(FinishReason.STOP, pb.FINISH_REASON_STOP), (FinishReason.LENGTH, pb.FINISH_REASON_LENGTH)],
)
async def test_usage_says_how_the_reply_ended(stub, doubles, reason, said):
    doubles.llm.reason = lambda request: reason
    events = await listened(stub.Synthesize(speech(sampling={"seed": 7, "max_tokens": 3})))
    usage = events[-1].usage
    assert (usage.finish_reason, usage.seed, usage.retries) == (said, 7, 0)


async def test_usage_counts_what_was_drawn_again_and_names_a_seed_that_gives_the_same(stub, doubles):
    draws = iter(([], [65, 66]))
    doubles.llm.draws = lambda request: next(draws) if request.text == "Hi." else [1]
    drawn = (await listened(stub.Synthesize(speech())))[-1].usage
    assert (drawn.retries, drawn.output_tokens) == (1, 2)
    first = [request.sampling.seed for request in doubles.llm.spoken]
    draws = iter(([], [65, 66]))
    again = await listened(stub.Synthesize(speech(sampling={"seed": drawn.seed})))
    assert text_of(audio_of(again)) == "AB"
    assert [request.sampling.seed for request in doubles.llm.spoken] == first * 2


async def test_request_reaches_the_stages_as_it_was_made(stub, doubles):
    request = pb.SynthesizeRequest(text="Hi.", speed=2.0, model="tts-1")
    design = {"gender": design_pb2.GENDER_MALE, "pitch": design_pb2.LEVEL_HIGH, "speed": design_pb2.LEVEL_LOW}
    request.voice.design.CopyFrom(design_pb2.DesignedVoice(**design))
    request.audio_config.sample_rate_hertz = 24000
    request.audio_config.encoding = audio_pb2.AUDIO_ENCODING_WAV
    request.sampling.seed = 5
    request.sampling.temperature = 0.25
    events = await listened(stub.Synthesize(request))
    assert events[0].audio_config.sample_rate_hertz == 24000
    assert audio_of(events)[:4] == b"RIFF"
    assert len(audio_of(events)) == pytest.approx(3 * 0.02 / 2 * 24000 * 2 + 44, abs=8)
    assert doubles.llm.spoken[0].voice.design == DesignedVoice.from_proto(request.voice.design)
    assert doubles.llm.spoken[0].sampling == Sampling.from_proto(request.sampling)


async def test_voice_may_be_named_by_id_or_resource_name(stub, doubles):
    for name in ("male", "voices/male"):
        request = pb.SynthesizeRequest(text="Hi.", voice=pb.VoiceSelection(name=name))
        await listened(stub.Synthesize(request))
    assert [r.voice.design.gender for r in doubles.llm.spoken] == 2 * [Gender.MALE]


async def test_reference_audio_is_cloned_for_one_request(stub, doubles):
    request = pb.SynthesizeRequest(text="Hi.")
    request.voice.reference.audio = b"audio"
    request.voice.reference.transcript = "So it goes."
    await listened(stub.Synthesize(request))
    assert [turn.text for turn in doubles.llm.spoken[0].voice.context] == ["So it goes."]


@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        (speech(text=" "), grpc.StatusCode.INVALID_ARGUMENT, "text"),
        (speech(text="x" * 60_000), grpc.StatusCode.INVALID_ARGUMENT, "text"),
        (speech(voice=pb.VoiceSelection(name="nobody")), grpc.StatusCode.NOT_FOUND, "voice"),
        (speech(model="gpt-9"), grpc.StatusCode.NOT_FOUND, "model"),
        (speech(speed=9.0), grpc.StatusCode.INVALID_ARGUMENT, "speed"),
        (
            speech(audio_config=audio_pb2.AudioConfig(encoding=99)),
            grpc.StatusCode.INVALID_ARGUMENT,
            "audio_config.encoding",
        ),
        (
            speech(audio_config=audio_pb2.AudioConfig(sample_rate_hertz=1)),
            grpc.StatusCode.INVALID_ARGUMENT,
            "audio_config.sample_rate_hertz",
        ),
        (
            speech(voice=pb.VoiceSelection(design=design_pb2.DesignedVoice())),
            grpc.StatusCode.INVALID_ARGUMENT,
            "voice.design.gender",
        ),
        (
            speech(voice=pb.VoiceSelection(reference=pb.ReferenceAudio(audio=b"bad"))),
            grpc.StatusCode.INVALID_ARGUMENT,
            "voice.reference.audio",
        ),
        (speech(sampling={"seed": 2**64 - 1}), grpc.StatusCode.INVALID_ARGUMENT, "sampling.seed"),
    ],
)
async def test_mistake_names_its_field(stub, request_, code, field):
    assert await failure(listened(stub.Synthesize(request_))) == (code, field)


async def test_overload_says_when_to_come_again(stub, doubles):
    async def refuse(place: int) -> None:
        raise Overloaded("No room.", retry_after=4.0)

    doubles.detokenizer.before = refuse
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await listened(stub.Synthesize(speech()))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert from_rpc_error(raised.value).retry_after == 4.0


async def test_body_is_one_file_with_its_media_type_on_every_message(stub):
    speech_ = speech(audio_config=audio_pb2.AudioConfig(encoding=audio_pb2.AUDIO_ENCODING_MP3))
    bodies = await listened(stub.SynthesizeBody(pb.SynthesizeBodyRequest(speech=speech_)))
    assert {body.content_type for body in bodies} == {"audio/mpeg"}
    assert all(body.data for body in bodies)


async def test_caller_who_leaves_frees_the_stages(stub, doubles):
    async def hold(place: int) -> None:
        if place == 8:
            await asyncio.Event().wait()

    doubles.llm.before = hold
    call = stub.Synthesize(speech(text="This is never finished."))
    async for _ in call:
        break
    call.cancel()
    await doubles.llm.live.until(0)
    await doubles.detokenizer.live.until(0)
