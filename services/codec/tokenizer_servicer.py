"""TokenizerService: a file to a speaker and frames."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.codec.audio.reference import Reference, ReferenceLimits, load_reference
from services.codec.batching import Batcher, BatchPolicy
from services.codec.codec import Heard
from services.contract.model import Revision
from services.contract.tokenization import TokenizationRequest, TokenizedRecording
from voxline.stages.v1 import tokenizer_pb2, tokenizer_pb2_grpc

_WAITING_FILES = 16


class Listener(Protocol):
    """What hears who speaks in a clip, and what is said: a TokenizeBatcher."""

    async def tokenize(self, clip: NDArray[np.float64]) -> Heard: ...


class TokenizerServicer(tokenizer_pb2_grpc.TokenizerServiceServicer):
    """Built in a running loop. Files are read one after the other, each with its samples in memory, and no more than
    some may wait.
    """

    def __init__(self, listener: Listener, sample_rate: int, limits: ReferenceLimits, revision: Revision) -> None:
        self._listener = listener
        self._sample_rate = sample_rate
        self._limits = limits
        self._revision = revision
        self._reader = Batcher(self._read, _file_bytes, BatchPolicy(limit=1, capacity=_WAITING_FILES))

    async def Tokenize(  # noqa: N802
        self, requests: AsyncIterator[tokenizer_pb2.TokenizeRequest], context: object
    ) -> AsyncIterator[tokenizer_pb2.TokenizeResponse]:
        request = await TokenizationRequest.from_protos(requests, self._limits.max_bytes)
        self._revision.expect(request.revision)
        reference = await self._reader.run(request)
        heard = await self._listener.tokenize(reference.clip.samples)
        seconds = reference.clip.seconds
        recording = TokenizedRecording(heard.speaker, heard.frames, seconds, reference.flac, reference.start)
        for response in recording.to_protos():
            yield response

    def _read(self, requests: Sequence[TokenizationRequest]) -> list[Reference]:
        return [
            load_reference(b"".join(request.pieces), self._sample_rate, self._limits, request.keep, request.longest)
            for request in requests
        ]


def _file_bytes(request: TokenizationRequest) -> float:
    return request.size
