"""The tokenizer stage: reference audio -> speaker and frames."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import grpc

from services.contract.tokenization import TokenizationRequest, TokenizedRecording
from services.gateway.deadlines import Deadlines, Patience
from services.runtime import calls
from services.runtime.errors import GenerationFailed
from services.runtime.streams import collected
from voxline.stages.v1 import tokenizer_pb2, tokenizer_pb2_grpc


class TokenizerClient:
    def __init__(self, channel: grpc.aio.Channel, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._patience = Patience("tokenizer")
        self._stub = tokenizer_pb2_grpc.TokenizerServiceStub(channel)

    async def tokenize(self, request: TokenizationRequest) -> TokenizedRecording:
        """Raises InvalidRequest or TooLarge with field `audio`, WrongRevision, the stage's other errors, and
        DeadlineExceeded as `Patience` does.
        """
        responses = calls.duplex(self._stub.Tokenize, _requests(request))
        async with aclosing(responses):
            told = await self._patience.wait(collected(responses), self._deadlines.recording)
        if not told:
            raise GenerationFailed("The tokenizer stage ended without an answer.")
        return TokenizedRecording.from_protos(told)


async def _requests(request: TokenizationRequest) -> AsyncGenerator[tokenizer_pb2.TokenizeRequest, None]:
    for message in request.to_protos():
        yield message
