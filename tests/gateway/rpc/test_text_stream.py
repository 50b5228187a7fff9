"""StreamingSynthesize: a text that is still being written."""

import asyncio

import grpc
import pytest

from voxline.v1 import text_to_speech_pb2 as pb

from ..conftest import PATIENCE, text_of
from .conftest import audio_of, failure, listened, speech


async def until_heard(call, text: str) -> None:
    heard = b""
    async with asyncio.timeout(PATIENCE):
        while text_of(heard) != text:
            heard += (await call.read()).audio


async def test_streamed_sentences_are_spoken_as_they_come(stub):
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
async def test_text_stream_out_of_order_names_what_is_wrong(stub, requests, field):
    assert (await failure(listened(stub.StreamingSynthesize(iter(requests)))))[1] == field


async def test_text_stream_that_is_left_frees_the_stages(stub, doubles):
    call = stub.StreamingSynthesize()
    await call.write(pb.StreamingSynthesizeRequest(config=pb.SynthesizeRequest()))
    await call.write(pb.StreamingSynthesizeRequest(text="Hello there. And"))
    await call.read()
    call.cancel()
    await doubles.llm.live.until(0)
    await doubles.detokenizer.live.until(0)
