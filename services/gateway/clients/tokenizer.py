"""The tokenizer stage: reference audio -> speaker and frames."""

import grpc

from services.contract.model import Revision
from services.contract.tokenization import TokenizedRecording
from services.runtime import calls
from voxline.stages.v1 import tokenizer_pb2, tokenizer_pb2_grpc


class TokenizerClient:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = tokenizer_pb2_grpc.TokenizerServiceStub(channel)

    async def tokenize(self, audio: bytes, revision: Revision, keep: bool = False) -> TokenizedRecording:
        """`audio`: a whole file; `keep`: give the recording back. Raises InvalidRequest or TooLarge with field `audio`,
        WrongRevision, and the stage's other errors.
        """
        request = tokenizer_pb2.TokenizeRequest(revision=revision.to_proto(), audio=audio, return_recording=keep)
        return TokenizedRecording.from_proto(await calls.unary(self._stub.Tokenize, request))
