"""The tokenizer stage: reference audio -> speaker and frames."""

import grpc

from services.contract.model import Revision
from services.contract.tokenization import TokenizedRecording
from services.gateway.deadlines import Deadlines, Patience
from services.runtime import calls
from voxline.stages.v1 import tokenizer_pb2, tokenizer_pb2_grpc


class TokenizerClient:
    def __init__(self, channel: grpc.aio.Channel, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._patience = Patience("tokenizer")
        self._stub = tokenizer_pb2_grpc.TokenizerServiceStub(channel)

    async def tokenize(self, audio: bytes, revision: Revision, keep: bool = False) -> TokenizedRecording:
        """`audio`: a whole file; `keep`: give the recording back. Raises InvalidRequest or TooLarge with field `audio`,
        WrongRevision, the stage's other errors, and DeadlineExceeded as `Patience` does.
        """
        request = tokenizer_pb2.TokenizeRequest(revision=revision.to_proto(), audio=audio, return_recording=keep)
        call = calls.unary(self._stub.Tokenize, request)
        return TokenizedRecording.from_proto(await self._patience.wait(call, self._deadlines.recording))
