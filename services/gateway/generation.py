"""One segment -> its frames: seeds, replicas that are lost, and what is drawn anew."""

import hashlib
import logging
import time
from contextlib import aclosing
from dataclasses import dataclass, replace

from services.contract.generation import (
    Finish,
    FinishReason,
    GenerationRequest,
    Pace,
    Prefix,
    Progress,
    VoiceInput,
)
from services.contract.sampling import SEEDS, Sampling
from services.gateway.metrics import GatewayMetrics
from services.gateway.replacement import Replacement
from services.gateway.reply import Usage
from services.gateway.stages import Model, Stages
from services.gateway.utterance import Utterance
from services.runtime.errors import GenerationFailed, InvalidRequest, VoxlineError

logger = logging.getLogger(__name__)

# So often a segment is drawn before words without any frame are an error.
_ATTEMPTS = 3
# What of a caller's sampling may keep the model from speaking, the likeliest first.
_SHAPING = ("max_tokens", "repetition_penalty", "temperature", "top_p", "top_k")


@dataclass(frozen=True)
class Segment:
    """A piece of text that the LLM speaks in one go, and who speaks it. `place` in the reply, from 0."""

    text: str
    voice: VoiceInput
    place: int = 0


class Generation:
    def __init__(self, stages: Stages, metrics: GatewayMetrics) -> None:
        self._stages = stages
        self._metrics = metrics

    async def draw(self, segment: Segment, sampling: Sampling, model: Model, usage: Usage, out: Utterance) -> None:
        """Fills `out`. `usage.seed` is the reply's seed, `sampling.seed` the caller's, if it gave one.

        A generation without a frame is drawn again, and once also one that its usual limit cut, while nobody has heard
        of it and the caller gave no seed. Raises what the LLM raises; where nothing is ever drawn, InvalidRequest for
        the caller's sampling, else GenerationFailed.
        """
        for attempt in range(_ATTEMPTS):
            seed = segment_seed(usage.seed, segment.place, attempt)
            request = GenerationRequest(
                text=segment.text,
                voice=segment.voice,
                sampling=replace(sampling, seed=seed),
                pace=model.pace,
                revision=model.revision,
            )
            replacement = Replacement("llm", self._stages, self._metrics, usage, begun=segment.place > 0)
            drawing = _Drawing(self._stages, request, model, out)
            finish = await drawing.finished(replacement)
            usage.input_tokens += finish.prompt_tokens
            usage.output_tokens += finish.completion_tokens
            cut = finish.reason is FinishReason.LENGTH
            if not out.end:
                self._metrics.empty_generations.inc()
                if cut:  # It takes as long again, and comes to the same.
                    break
            elif not (cut and attempt == 0 and sampling.max_tokens is sampling.seed is None and not out.heard):
                usage.truncated |= cut
                self._metrics.truncated_segments.inc(cut)
                out.finish()
                return
            usage.retries += 1
            out.withdraw()
        raise _nothing_drawn(sampling)


class _Drawing:
    """One attempt at a segment, by one replica after the other."""

    def __init__(self, stages: Stages, request: GenerationRequest, model: Model, out: Utterance) -> None:
        self._stages = stages
        self._request = request
        self._model = model
        self._out = out
        self._resume = b""
        self._first_frames_at: float | None = None

    async def finished(self, replacement: Replacement) -> Finish:
        while True:
            try:
                async with aclosing(self._stages.llm.generate(self._next_request())) as progresses:
                    async for progress in progresses:
                        replacement.progress()
                        self._take(progress)
                        if progress.finish is not None:
                            return progress.finish
            except VoxlineError as exc:
                await replacement.after(exc)
                logger.warning("the llm is replaced after %d frames: %s", self._out.end, exc.message)

    def _take(self, progress: Progress) -> None:
        if progress.resume is not None:
            self._resume = progress.resume
        if progress.speaker is not None:
            self._out.name(progress.speaker)
        if progress.frames is not None:
            self._first_frames_at = self._first_frames_at or time.monotonic()
            self._out.extend(progress.frames)

    def _next_request(self) -> GenerationRequest:
        """That which asks for what has not come yet."""
        if not self._out.end and not self._resume:
            return self._request
        frames = self._out.all() if self._out.end else self._model.frames.zeros(0)
        return replace(self._request, prefix=Prefix(frames, self._resume), pace=self._pace())

    def _pace(self) -> Pace:
        """As the stage that was lost would have gone on: from what the listener can play already."""
        pace = self._model.pace
        if self._first_frames_at is None:
            return pace
        played = time.monotonic() - self._first_frames_at
        ahead = (self._out.end - pace.first_frames) / pace.frames_per_second - played
        return replace(pace, ahead_seconds=ahead)


def _nothing_drawn(sampling: Sampling) -> VoxlineError:
    for name in _SHAPING:
        if (value := getattr(sampling, name)) is not None:
            message = f"The model draws no speech with {name} {value}; leave it out for the model's own."
            return InvalidRequest(message, field=f"sampling.{name}")
    return GenerationFailed("The model drew no speech for a part of the text.")


def segment_seed(seed: int, place: int, attempt: int) -> int:
    """Of one segment of a reply; `attempt` from 0."""
    if not attempt:
        return (seed + place) % SEEDS
    return int.from_bytes(hashlib.blake2b(f"{seed}/{place}/{attempt}".encode(), digest_size=8).digest()) % SEEDS
