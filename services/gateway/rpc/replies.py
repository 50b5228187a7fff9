"""Replies and voices as messages of the public gRPC API."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from services.gateway.reply import Reply
from services.gateway.rpc.requests import ENCODINGS
from services.gateway.voices.voice import VoiceResource
from voxline.v1 import audio_pb2, text_to_speech_pb2

Response = TypeVar("Response", text_to_speech_pb2.SynthesizeResponse, text_to_speech_pb2.StreamingSynthesizeResponse)
_FINISH_REASONS = {
    False: text_to_speech_pb2.FINISH_REASON_STOP,
    True: text_to_speech_pb2.FINISH_REASON_LENGTH,
}
_ENCODINGS_BACK = {name: value for value, name in ENCODINGS.items()}


async def events(reply: Reply, kind: type[Response]) -> AsyncGenerator[Response, None]:
    """The config, the bytes, the usage. Owns the reply's chunks."""
    async with aclosing(reply.chunks) as chunks:
        yield kind(
            audio_config=audio_pb2.AudioConfig(
                encoding=_ENCODINGS_BACK[reply.encoding], sample_rate_hertz=reply.sample_rate
            )
        )
        async for chunk in chunks:
            yield kind(audio=chunk)
    usage = reply.usage
    yield kind(
        usage=text_to_speech_pb2.Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            audio_seconds=usage.audio_seconds,
            finish_reason=_FINISH_REASONS[usage.truncated],
            seed=usage.seed,
            retries=usage.retries,
        )
    )


def voice_to_proto(voice: VoiceResource) -> text_to_speech_pb2.Voice:
    created = None
    if voice.created_at is not None:
        created = Timestamp()
        created.FromDatetime(voice.created_at)
    part = (
        None
        if voice.heard is None
        else text_to_speech_pb2.ReferencePart(start_seconds=voice.heard[0], end_seconds=voice.heard[1])
    )
    return text_to_speech_pb2.Voice(
        name=f"voices/{voice.id}",
        display_name=voice.display_name,
        design=None if voice.design is None else voice.design.to_proto(),
        transcript=voice.transcript,
        create_time=created,
        built_in=voice.built_in,
        alias_of=f"voices/{voice.alias_of}" if voice.alias_of else "",
        reference_part=part,
    )
