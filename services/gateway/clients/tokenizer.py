"""The tokenizer stage: reference audio -> tokens."""

import grpc

from services.gateway.clients.speaker import speaker_from_proto
from services.gateway.tokens import ReferenceTokens
from services.runtime import calls
from voxline.v1 import tokenizer_pb2, tokenizer_pb2_grpc


class TokenizerClient:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = tokenizer_pb2_grpc.TokenizerServiceStub(channel)

    async def tokenize(self, audio: bytes) -> ReferenceTokens:
        """`audio`: a whole file. Raises InvalidRequest or TooLarge with field `audio`."""
        answer = await calls.unary(self._stub.Tokenize, tokenizer_pb2.TokenizeRequest(audio=audio))
        return ReferenceTokens(speaker_from_proto(answer.speaker), tuple(answer.codes.values), answer.duration_seconds)
