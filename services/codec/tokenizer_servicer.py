"""TokenizerService: a file to a speaker and codes."""

import asyncio

from services.codec.audio.reference import ReferenceLimits, load_reference
from services.codec.batching import TokenizeBatcher
from services.codec.codec import Tokenizer
from voxline.v1 import tokenizer_pb2, tokenizer_pb2_grpc, tokens_pb2


class TokenizerServicer(tokenizer_pb2_grpc.TokenizerServiceServicer):
    def __init__(self, tokenizer: Tokenizer, batcher: TokenizeBatcher, limits: ReferenceLimits) -> None:
        self._sample_rate = tokenizer.sample_rate
        self._batcher = batcher
        self._limits = limits

    async def Tokenize(  # noqa: N802
        self, request: tokenizer_pb2.TokenizeRequest, context: object
    ) -> tokenizer_pb2.TokenizeResponse:
        recording = await asyncio.to_thread(load_reference, request.audio, self._sample_rate, self._limits)
        tokens = await self._batcher.tokenize(recording.samples)
        return tokenizer_pb2.TokenizeResponse(
            speaker=tokens_pb2.Speaker(global_tokens=tokens.global_tokens),
            codes=tokens_pb2.Codes(values=tokens.semantic_tokens),
            duration_seconds=recording.seconds,
        )
