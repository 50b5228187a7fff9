"""A message is bounded before it is parsed, but for its recording."""

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from services.runtime.errors import TooLarge
from services.runtime.message_size import MessageLimits
from voxline.v1 import text_to_speech_pb2 as pb

from .conftest import failure, listened, speech

LIMITS = MessageLimits(1000, 5000)


def reference(size: int) -> pb.ReferenceAudio:
    return pb.ReferenceAudio(audio=b"a" * size)


def voice(size: int) -> pb.VoiceSelection:
    return pb.VoiceSelection(reference=reference(size))


FITTING = [
    speech(text="a" * 900),
    speech(voice=voice(4900), text="a" * 900, speed=1.5),
    pb.SynthesizeBodyRequest(speech=speech(voice=voice(4900))),
    pb.StreamingSynthesizeRequest(config=speech(voice=voice(4900))),
    pb.CreateVoiceRequest(reference=reference(4900), display_name="a" * 900),
]
TOO_LARGE = [
    speech(text="a" * 1001),
    speech(voice=voice(4900), text="a" * 1001),
    speech(voice=voice(6001)),
    pb.CreateVoiceRequest(display_name="a" * 4000),
    pb.UpdateVoiceRequest(voice=pb.Voice(name="voices/ann"), update_mask=FieldMask(paths=[""] * 600)),
    pb.ListVoicesRequest(page_token="a" * 1001),
]


@pytest.mark.parametrize("message", FITTING, ids=lambda message: type(message).__name__)
def test_what_fits_passes(message):
    LIMITS.check(message.SerializeToString(), type(message))


@pytest.mark.parametrize("message", TOO_LARGE, ids=lambda message: type(message).__name__)
def test_what_does_not_fit_is_refused(message):
    with pytest.raises(TooLarge):
        LIMITS.check(message.SerializeToString(), type(message))


@pytest.mark.parametrize(
    "data",
    [b"\x0a\x00" * 1000, b"\xff" * 2000, b"\x0b" * 2000, b"\xfa\x07\x88\x27" + b"a" * 5000, b"\x12\xff\x7f" * 900],
)
def test_what_is_no_message_of_a_caller_is_refused(data):
    with pytest.raises(TooLarge):
        LIMITS.check(data, pb.SynthesizeRequest)


async def test_too_large_a_message_is_an_error_of_ours(stub):
    large = pb.UpdateVoiceRequest(voice=pb.Voice(name="voices/ann", transcript="a" * 400_001))
    assert (await failure(stub.UpdateVoice(large)))[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert (await failure(listened(stub.Synthesize(speech(text="a" * 400_001)))))[0] is grpc.StatusCode.INVALID_ARGUMENT
    create = pb.CreateVoiceRequest(voice_id="ann", reference=reference(900_000))
    assert (await stub.CreateVoice(create)).name == "voices/ann"


async def test_too_large_a_message_of_a_text_stream_is_an_error_of_ours(stub):
    async def requests():
        yield pb.StreamingSynthesizeRequest(config=speech(text=""))
        yield pb.StreamingSynthesizeRequest(text="a" * 400_001)

    code, _ = await failure(listened(stub.StreamingSynthesize(requests())))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
