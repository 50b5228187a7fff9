"""voxline.v1.TextToSpeechService over real gRPC, down to doubles of the stages."""

import asyncio

import grpc
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.gateway.rpc.model_servicer import ModelServicer
from services.gateway.rpc.pages import page
from services.gateway.rpc.speech_servicer import SpeechServicer
from services.gateway.staged import Limits, StagedGateway
from services.gateway.voices.store import VoiceStore
from services.gateway.voices.voice import Voice
from services.runtime.errors import TABLE, InvalidRequest, Overloaded, from_rpc_error
from services.runtime.interceptors import RpcInterceptor
from services.runtime.metrics import RpcMetrics
from voxline.v1 import audio_pb2, model_pb2, model_pb2_grpc
from voxline.v1 import text_to_speech_pb2 as pb
from voxline.v1 import text_to_speech_pb2_grpc as pb_grpc

from .conftest import PATIENCE, spoken


@pytest.fixture
async def channel(stages, tmp_path):
    registry = CollectorRegistry()
    store = VoiceStore(f"sqlite:///{tmp_path}/voices.db")
    gateway = StagedGateway(stages, store, Limits(pause_seconds=0.0), registry)
    await store.start()
    server = grpc.aio.server(interceptors=[RpcInterceptor(RpcMetrics(registry))])
    pb_grpc.add_TextToSpeechServiceServicer_to_server(SpeechServicer(gateway), server)
    model_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(stages), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(0)
    await store.stop()


@pytest.fixture
def stub(channel):
    return pb_grpc.TextToSpeechServiceStub(channel)


def text_of(pcm: bytes) -> str:
    return spoken((np.frombuffer(pcm, "<i2") / 32767).astype(np.float32))


def kinds(events: list) -> list[str]:
    names = [event.WhichOneof("event") for event in events]
    return [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]


def audio_of(events: list) -> bytes:
    return b"".join(event.audio for event in events)


async def failure(call) -> tuple[grpc.StatusCode, str | None]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), from_rpc_error(raised.value).field


async def listened(call) -> list:
    return [event async for event in call]


async def test_speech_is_config_then_audio_then_usage(stub):
    events = await listened(stub.Synthesize(pb.SynthesizeRequest(text="Hello there.")))
    assert kinds(events) == ["audio_config", "audio", "usage"]
    config = events[0].audio_config
    assert (config.encoding, config.sample_rate_hertz) == (audio_pb2.AUDIO_ENCODING_PCM, 16000)
    assert text_of(audio_of(events)) == "Hello there."
    usage = events[-1].usage
    assert (usage.input_tokens, usage.output_tokens) == (10, 12)
    assert usage.audio_seconds == pytest.approx(12 * 0.02)


async def test_request_reaches_the_stages_as_it_was_made(stub, doubles):
    request = pb.SynthesizeRequest(text="Hi.", speed=2.0, model="tts-1")
    design = {"gender": model_pb2.GENDER_MALE, "pitch": model_pb2.LEVEL_HIGH, "speed": model_pb2.LEVEL_LOW}
    request.voice.design.CopyFrom(model_pb2.DesignedVoice(**design))
    request.audio_config.sample_rate_hertz = 24000
    request.audio_config.encoding = audio_pb2.AUDIO_ENCODING_WAV
    request.sampling.seed = 5
    request.sampling.temperature = 0.25
    events = await listened(stub.Synthesize(request))
    assert events[0].audio_config.sample_rate_hertz == 24000
    assert audio_of(events)[:4] == b"RIFF"
    assert len(audio_of(events)) == pytest.approx(3 * 0.02 / 2 * 24000 * 2 + 44, abs=8)
    assert doubles.llm.spoken[0].design.design == request.voice.design
    assert doubles.llm.spoken[0].sampling == request.sampling


async def test_voice_may_be_named_by_id_or_resource_name(stub, doubles):
    for name in ("male", "voices/male"):
        request = pb.SynthesizeRequest(text="Hi.", voice=pb.VoiceSelection(name=name))
        await listened(stub.Synthesize(request))
    assert [r.design.design.gender for r in doubles.llm.spoken] == 2 * [model_pb2.GENDER_MALE]


async def test_reference_audio_is_cloned_for_one_request(stub, doubles):
    request = pb.SynthesizeRequest(text="Hi.")
    request.voice.reference.audio = b"audio"
    request.voice.reference.transcript = "So it goes."
    await listened(stub.Synthesize(request))
    assert doubles.llm.spoken[0].clone.reference.transcript == "So it goes."


def speech(**changes) -> pb.SynthesizeRequest:
    return pb.SynthesizeRequest(**({"text": "Hi."} | changes))


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
            speech(voice=pb.VoiceSelection(design=model_pb2.DesignedVoice())),
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


async def until_heard(call, text: str) -> None:
    heard = b""
    async with asyncio.timeout(PATIENCE):
        while text_of(heard) != text:
            heard += (await call.read()).audio


async def test_dictated_sentences_are_spoken_as_they_come(stub):
    call = stub.StreamingSynthesize()
    await call.write(pb.StreamingSynthesizeRequest(config=pb.SynthesizeRequest()))
    for text in ("Hel", "lo the", "re. And"):
        await call.write(pb.StreamingSynthesizeRequest(text=text))
    assert (await call.read()).audio_config.sample_rate_hertz == 16000
    await until_heard(call, "Hello there.")
    await call.write(pb.StreamingSynthesizeRequest(text=" now"))
    await call.write(pb.StreamingSynthesizeRequest(flush=True))
    await until_heard(call, "And now")
    await call.write(pb.StreamingSynthesizeRequest(text=" bye."))
    await call.done_writing()
    rest = []
    while (event := await call.read()) is not grpc.aio.EOF:
        rest.append(event)
    assert text_of(audio_of(rest)) == "bye."
    assert rest[-1].usage.output_tokens == len("Hello there.And nowbye.")


@pytest.mark.parametrize(
    ("requests", "field"),
    [
        ([], "config"),
        ([pb.StreamingSynthesizeRequest(text="Hi.")], "config"),
        ([pb.StreamingSynthesizeRequest(config=speech())], "text"),
        (2 * [pb.StreamingSynthesizeRequest(config=pb.SynthesizeRequest())], "request"),
        (
            [
                pb.StreamingSynthesizeRequest(config=pb.SynthesizeRequest(voice=pb.VoiceSelection(name="nobody"))),
                pb.StreamingSynthesizeRequest(text="Hi."),
            ],
            "voice",
        ),
    ],
)
async def test_dictation_out_of_order_names_what_is_wrong(stub, requests, field):
    assert (await failure(listened(stub.StreamingSynthesize(iter(requests)))))[1] == field


async def test_dictation_that_is_left_frees_the_stages(stub, doubles):
    call = stub.StreamingSynthesize()
    await call.write(pb.StreamingSynthesizeRequest(config=pb.SynthesizeRequest()))
    await call.write(pb.StreamingSynthesizeRequest(text="Hello there. And"))
    await call.read()
    call.cancel()
    await doubles.llm.live.until(0)
    await doubles.detokenizer.live.until(0)


async def test_voice_is_created_got_spoken_listed_and_deleted(stub, doubles):
    create = pb.CreateVoiceRequest(display_name="Ann", reference=pb.ReferenceAudio(audio=b"audio", transcript="Hm."))
    created = await stub.CreateVoice(create)
    assert (created.name, created.display_name, created.transcript) == ("voices/ann", "Ann", "Hm.")
    assert created.create_time.seconds > 0
    assert await stub.GetVoice(pb.GetVoiceRequest(name="voices/ann")) == created
    assert (await failure(stub.CreateVoice(create)))[0] is grpc.StatusCode.ALREADY_EXISTS
    listed = (await stub.ListVoices(pb.ListVoicesRequest())).voices
    assert [voice.name for voice in listed] == ["voices/female", "voices/male", "voices/ann"]
    assert listed[0].built_in
    await listened(stub.Synthesize(speech(voice=pb.VoiceSelection(name=created.name))))
    assert doubles.llm.spoken[0].clone.speaker.global_tokens == [5, *b"aud"]
    await stub.DeleteVoice(pb.DeleteVoiceRequest(name="voices/ann"))
    assert await failure(stub.GetVoice(pb.GetVoiceRequest(name="voices/ann"))) == (grpc.StatusCode.NOT_FOUND, "name")


async def test_built_in_voice_cannot_be_deleted_and_a_name_needs_its_form(stub):
    for name in ("voices/female", "female", "voices/"):
        code, field = await failure(stub.DeleteVoice(pb.DeleteVoiceRequest(name=name)))
        assert (code, field) == (grpc.StatusCode.INVALID_ARGUMENT, "name")


async def test_bad_reference_names_its_field(stub):
    create = pb.CreateVoiceRequest(voice_id="ann", reference=pb.ReferenceAudio(audio=b"bad"))
    assert await failure(stub.CreateVoice(create)) == (grpc.StatusCode.INVALID_ARGUMENT, "reference.audio")


def test_pages_join_to_the_list_though_a_voice_goes_in_between():
    voices = [Voice(f"b{n}", "", built_in=True) for n in range(3)] + [Voice(f"a{n}", "") for n in range(3)]
    first = page(voices, 4, "")
    assert [voice.id for voice in first.voices] == ["b0", "b1", "b2", "a0"]
    rest = page([voice for voice in voices if voice.id != "a0"], 4, first.next_token)
    assert [voice.id for voice in rest.voices] == ["a1", "a2"]
    assert rest.next_token == ""


def test_page_token_of_another_form_is_refused():
    with pytest.raises(InvalidRequest):
        page([], 0, "?")


async def test_gateway_says_what_its_stages_serve_together(channel, doubles):
    answer = await model_pb2_grpc.ModelServiceStub(channel).GetModel(model_pb2.GetModelRequest())
    assert answer == doubles.llm.model


@pytest.mark.parametrize("stage", ["tokenizer", "llm", "detokenizer"])
@pytest.mark.parametrize("cls", TABLE)
async def test_an_error_of_a_stage_before_the_first_audio_is_its_row(stub, doubles, stage, cls):
    async def before(place: int) -> None:
        raise cls("What happened.")

    getattr(doubles, stage).before = before
    clone = pb.VoiceSelection(reference=pb.ReferenceAudio(audio=b"abcd"))
    request = pb.SynthesizeRequest(text="Hello there.", voice=clone if stage == "tokenizer" else None)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await listened(stub.Synthesize(request))
    assert raised.value.code() is TABLE[cls].grpc
    assert type(from_rpc_error(raised.value)) is cls


@pytest.mark.parametrize(("stage", "at"), [("llm", 5), ("detokenizer", 2)])
@pytest.mark.parametrize("cls", TABLE)
async def test_an_error_of_a_stage_after_the_first_audio_is_its_row(stub, doubles, stage, at, cls):
    heard = asyncio.Event()

    async def before(place: int) -> None:
        if place == at:
            await heard.wait()
            raise cls("What happened.")

    getattr(doubles, stage).before = before
    received = []
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for event in stub.Synthesize(pb.SynthesizeRequest(text="Hello there.")):
            received.append(event.WhichOneof("event"))
            if received[-1] == "audio":
                heard.set()
    assert "audio" in received
    assert type(from_rpc_error(raised.value)) is cls
