"""Every error of a stage is its row of the error table, before the first audio and after it."""

import asyncio

import grpc
import pytest

from services.runtime.errors import TABLE, InvalidRequest, from_rpc_error
from voxline.v1 import text_to_speech_pb2 as pb

from ..conftest import outcome
from .conftest import listened


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
    assert raised.value.code() is TABLE[outcome(cls, stage)].grpc
    assert type(from_rpc_error(raised.value)) is outcome(cls, stage)


@pytest.mark.parametrize(("stage", "at"), [("llm", 5), ("detokenizer", 2)])
@pytest.mark.parametrize("cls", TABLE)
async def test_an_error_of_a_stage_after_the_first_audio_is_its_row(stub, doubles, stage, at, cls):
    heard = asyncio.Event()

    async def before(place: int) -> None:
        if place == at:
            await heard.wait()
        if heard.is_set():
            raise cls("What happened.")

    getattr(doubles, stage).before = before
    received = []
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for event in stub.Synthesize(pb.SynthesizeRequest(text="Hello there.")):
            received.append(event.WhichOneof("event"))
            if received[-1] == "audio":
                heard.set()
    assert "audio" in received
    assert type(from_rpc_error(raised.value)) is outcome(cls, stage)


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\x02\xff\xfe", b"\x0a\x7f"])
async def test_what_is_no_message_is_the_callers_fault(channel, data):
    call = channel.unary_unary("/voxline.v1.TextToSpeechService/GetVoice")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(data)
    assert type(from_rpc_error(raised.value)) is InvalidRequest
