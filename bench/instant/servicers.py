"""An LLM that draws what it is told and a detokenizer that hums."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

import numpy as np

from bench.instant.pace import Pace
from services.llm.engines.engine import at_once
from services.llm.events import CodesDrawn, Event, Finished, FinishReason, SpeakerNamed
from services.llm.pace import Playhead
from services.llm.voices import Speaker
from services.llm.wire import pace_of, response_of
from voxline.v1 import audio_pb2, detokenizer_pb2, detokenizer_pb2_grpc, llm_pb2, llm_pb2_grpc, model_pb2

# As the sentences of the benchmark are spoken.
_FRAMES_PER_CHARACTER = 3


@dataclass(frozen=True)
class InstantLlm(llm_pb2_grpc.LlmServiceServicer):
    """Sends its codes when a real one would."""

    model: model_pb2.Model
    pace: Pace

    async def Generate(  # noqa: N802
        self, request: llm_pb2.GenerateRequest, context: object
    ) -> AsyncGenerator[llm_pb2.GenerateResponse, None]:
        now, held = 0.0, list[int]()
        asked, frames, begun = pace_of(request), _FRAMES_PER_CHARACTER * len(request.text), time.monotonic()
        due = at_once if asked is None else Playhead(asked, clock=lambda: now).due
        events: list[Event] = [SpeakerNamed(Speaker((0,) * self.model.global_token_count))]
        for frame in range(frames):
            now = self.pace.due(frame)
            held.append(frame % self.model.codebook_size)
            if last := frame == frames - 1:
                events.append(Finished(FinishReason.STOP, 1, frames, 0))
            if last or due(len(held)):
                await asyncio.sleep(max(0.0, begun + now - time.monotonic()))
                yield response_of([*events, CodesDrawn(tuple(held))])
                events, held = [], []


@dataclass(frozen=True)
class InstantDetokenizer(detokenizer_pb2_grpc.DetokenizerServiceServicer):
    """A chunk as soon as its codes and its look-ahead are there."""

    model: model_pb2.Model
    pace: Pace

    async def Detokenize(  # noqa: N802
        self, request_iterator: AsyncIterator[detokenizer_pb2.DetokenizeRequest], context: object
    ) -> AsyncGenerator[detokenizer_pb2.DetokenizeResponse, None]:
        held, sizes = 0, self.pace.chunks()
        size = next(sizes)
        async for request in request_iterator:
            held += len(request.codes.values)
            while held >= size + self.pace.look_ahead:
                yield self._hum(size)
                held, size = held - size, next(sizes)
        if held:
            yield self._hum(held)

    def _hum(self, frames: int) -> detokenizer_pb2.DetokenizeResponse:
        rate = self.model.sample_rate_hertz
        samples = np.full(round(frames * rate / self.model.frame_rate_hertz), 0.5, "<f4")
        return detokenizer_pb2.DetokenizeResponse(
            audio=audio_pb2.Audio(samples=samples.tobytes(), sample_rate_hertz=rate)
        )
