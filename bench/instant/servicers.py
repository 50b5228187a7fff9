"""An LLM that draws what it is told and a detokenizer that hums; both stand behind the servicers of the real ones."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import numpy as np

from bench.instant.pace import Pace
from services.contract.detokenization import Chunk, DetokenizationConfig
from services.contract.families.spark import SparkSpeaker
from services.contract.frames import Frames
from services.contract.generation import Finish, FinishReason, GenerationRequest, Progress
from services.llm.engines.engine import at_once
from services.llm.playhead import Playhead
from services.runtime.audio import Audio

# As the sentences of the benchmark are spoken.
_FRAMES_PER_CHARACTER = 3
# The value of every frame, and of every global token of whom it makes up.
_CODE = 0


@dataclass(frozen=True)
class InstantLlm:
    """Sends its frames when a real one would."""

    global_token_count: int
    pace: Pace
    frames_per_character: float = _FRAMES_PER_CHARACTER

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Progress, None]:
        now, begun, sent = 0.0, time.monotonic(), 0
        frames = max(1, round(self.frames_per_character * len(request.text)))
        due = at_once if request.pace is None else Playhead(request.pace, 1, request.pace.first_frames, lambda: now).due
        speaker = request.voice.speaker or SparkSpeaker((_CODE,) * self.global_token_count).speaker()
        for frame in range(frames):
            now = self.pace.due(frame)
            last = frame == frames - 1
            if last or due(frame + 1 - sent):
                await asyncio.sleep(max(0.0, begun + now - time.monotonic()))
                yield Progress(
                    speaker=None if sent else speaker,
                    frames=Frames.of_codes([_CODE] * (frame + 1 - sent), first=sent),
                    finish=Finish(FinishReason.STOP, 1, frames, 0) if last else None,
                )
                sent = frame + 1


@dataclass(frozen=True)
class InstantDetokenizer:
    """A chunk as soon as its frames and its look-ahead are there."""

    sample_rate: int
    frame_rate: float
    pace: Pace

    async def decode(
        self, config: DetokenizationConfig, frames: AsyncGenerator[Frames, None]
    ) -> AsyncGenerator[Chunk, None]:
        came, told, sizes = 0, 0, self.pace.chunks()
        size = next(sizes)
        async for part in frames:
            came = part.end
            while came - told >= size + self.pace.look_ahead:
                yield self._hum(told, size)
                told, size = told + size, next(sizes)
        if came > told:
            yield self._hum(told, came - told)

    def _hum(self, first: int, frames: int) -> Chunk:
        samples = np.full(round(frames * self.sample_rate / self.frame_rate), 0.5, np.float32)
        return Chunk(Audio(samples, self.sample_rate), first, frames)
