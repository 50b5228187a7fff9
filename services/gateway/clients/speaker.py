"""Speaker tokens on the wire."""

from services.gateway.tokens import SpeakerTokens
from voxline.v1 import tokens_pb2


def speaker_to_proto(speaker: SpeakerTokens) -> tokens_pb2.Speaker:
    return tokens_pb2.Speaker(global_tokens=speaker.global_tokens, style_tokens=speaker.style_tokens)


def speaker_from_proto(message: tokens_pb2.Speaker) -> SpeakerTokens:
    return SpeakerTokens(tuple(message.global_tokens), tuple(message.style_tokens))
