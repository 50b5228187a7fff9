"""What a caller is told over gRPC: what is wrong, in which field, and what is allowed."""

import grpc
import pytest

from services.runtime.errors import from_rpc_error
from voxline.v1 import audio_pb2, design_pb2, sampling_pb2
from voxline.v1 import text_to_speech_pb2 as pb

from .conftest import listened, speech


def named(name: str) -> pb.VoiceSelection:
    return pb.VoiceSelection(name=name)


def designed(**fields: int) -> pb.VoiceSelection:
    return pb.VoiceSelection(design=design_pb2.DesignedVoice(**fields))


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"text": " "}, "text", "it must contain something to speak"),
        ({"text": "a" * 60_000}, "text", "60000, at most 50000 are allowed (VOXLINE_GATEWAY_MAX_TEXT_CHARACTERS"),
        ({"speed": 9}, "speed", "speed is 9; it must lie between 0.25 and 4"),
        ({"speed": float("nan")}, "speed", "speed is nan; it must lie between 0.25 and 4"),
        ({"audio_config": audio_pb2.AudioConfig(encoding=99)}, "audio_config.encoding", "99 is no audio encoding"),
        ({"audio_config": audio_pb2.AudioConfig(encoding=99)}, "audio_config.encoding", "AUDIO_ENCODING_MP3 (3)"),
        (
            {"audio_config": audio_pb2.AudioConfig(sample_rate_hertz=100)},
            "audio_config.sample_rate_hertz",
            "100 Hz is out of range; a sample rate lies between 8000 and 192000 Hz",
        ),
        ({"voice": designed()}, "voice.design.gender", "female or male"),
        (
            {"voice": designed(gender=1, pitch=9)},
            "voice.design.pitch",
            "9 is no level of pitch; there are 1 (very low) to 5",
        ),
        (
            {"voice": designed(gender=1, speed=6)},
            "voice.design.speed",
            "6 is no level of speed; there are 1 (very low) to 5",
        ),
        ({"voice": named("voices/")}, "voice.name", "'voices/' names no voice; it reads like anna, or voices/anna"),
        ({"voice": named("voices/bob")}, "voice", "There are alloy, ash, "),
        ({"voice": named("x" * 5000)}, "voice", "There is no voice 'xxx"),
        ({"model": "gpt-9"}, "model", "'double' is served, by these names: 'double', 'tts-1'"),
        ({"model": "x" * 5000}, "model", "There is no model 'xxx"),
        (
            {"sampling": sampling_pb2.Sampling(seed=2**63)},
            "sampling.seed",
            "seed is 9223372036854775808; it must lie between 0 and 2^63 - 1",
        ),
        ({"voice": pb.VoiceSelection(reference=pb.ReferenceAudio())}, "voice.reference.audio", "is empty"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_message_says_what_is_wrong_where_and_what_is_allowed(stub, fields, field, says):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await listened(stub.Synthesize(speech(**fields)))
    assert from_rpc_error(raised.value).field == field
    assert says in raised.value.details()
    assert len(raised.value.details()) < 1000
