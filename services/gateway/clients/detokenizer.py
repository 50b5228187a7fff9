"""The detokenizer stage: a speaker and a stream of codes -> a stream of audio."""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import grpc

from services.gateway.clients.speaker import speaker_to_proto
from services.gateway.clients.tape import Tape
from services.gateway.tokens import Codes, SpeakerTokens
from services.runtime import calls
from services.runtime.audio import Audio
from services.runtime.errors import GenerationFailed, StageUnavailable
from voxline.v1 import detokenizer_pb2, detokenizer_pb2_grpc, tokens_pb2

logger = logging.getLogger(__name__)

# A replica that is lost in mid-utterance is replaced so many times.
_REPLACEMENTS = 2


class DetokenizerClient:
    """`look_ahead`: says how many frames to the right each sample waits for."""

    def __init__(self, channel: grpc.aio.Channel, look_ahead: Callable[[], int]) -> None:
        self._stub = detokenizer_pb2_grpc.DetokenizerServiceStub(channel)
        self._look_ahead = look_ahead

    async def decode(self, speaker: SpeakerTokens, codes: AsyncGenerator[Codes, None]) -> AsyncGenerator[Audio, None]:
        """Owns `codes`; their error is raised here. Close it to free the stream's state.

        A replica that is lost is replaced: another gets all codes again, and what was heard already is left out. The
        waveform does not depend on how the codes are cut, so the seam is exact.
        """
        heard = 0
        async with Tape(codes) as tape:
            for replacements_left in reversed(range(_REPLACEMENTS + 1)):
                try:
                    async with aclosing(self._decoded(speaker, tape.play())) as chunks:
                        async for audio in _after(chunks, heard):
                            heard += len(audio.samples)
                            yield audio
                    return
                except StageUnavailable as exc:
                    if tape.broken or not heard or not replacements_left:
                        raise
                    logger.warning("the detokenizer was lost after %d samples: %s", heard, exc.message)

    async def _decoded(self, speaker: SpeakerTokens, codes: AsyncGenerator[Codes, None]) -> AsyncGenerator[Audio, None]:
        config = detokenizer_pb2.DetokenizeConfig(
            speaker=speaker_to_proto(speaker), look_ahead_frames=self._look_ahead()
        )
        feed = _Feed(config, codes)
        async with aclosing(calls.duplex(self._stub.Detokenize, feed.requests())) as responses:
            async for response in responses:
                yield Audio.from_bytes(response.audio.samples, response.audio.sample_rate_hertz)
        if not feed.ended:
            raise GenerationFailed("The detokenizer ended an utterance before it had all codes.")


async def _after(chunks: AsyncGenerator[Audio, None], samples: int) -> AsyncGenerator[Audio, None]:
    """Leaves out the first `samples` samples; does not own `chunks`."""
    async for audio in chunks:
        skipped = min(samples, len(audio.samples))
        samples -= skipped
        if skipped < len(audio.samples):
            yield Audio(audio.samples[skipped:], audio.sample_rate)


class _Feed:
    def __init__(self, config: detokenizer_pb2.DetokenizeConfig, codes: AsyncGenerator[Codes, None]) -> None:
        self._config = config
        self._codes = codes
        self.ended = False

    async def requests(self) -> AsyncGenerator[detokenizer_pb2.DetokenizeRequest, None]:
        async with aclosing(self._codes):
            yield detokenizer_pb2.DetokenizeRequest(config=self._config)
            async for values in self._codes:
                yield detokenizer_pb2.DetokenizeRequest(codes=tokens_pb2.Codes(values=values))
        self.ended = True
