"""One segment -> its tokens: seeds, the second attempt, and messages of a size that is worth sending."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from services.gateway.clients.events import Finish, LlmEvent
from services.gateway.metrics import GatewayMetrics
from services.gateway.reply import Usage
from services.gateway.speech import SEEDS, Sampling
from services.gateway.stages import Stages
from services.gateway.tokens import SpeakerTokens, VoiceTokens
from services.runtime.errors import GenerationFailed

# Codes go on in messages of at least so many frames: one for every frame costs more than it gains.
_FRAMES_PER_MESSAGE = 3


@dataclass(frozen=True)
class Segment:
    """A piece of text that the LLM speaks in one go, and who speaks it."""

    text: str
    voice: VoiceTokens


class Generation:
    def __init__(self, stages: Stages, metrics: GatewayMetrics) -> None:
        self._stages = stages
        self._metrics = metrics

    async def events(
        self, segment: Segment, sampling: Sampling, place: int, usage: Usage
    ) -> AsyncGenerator[LlmEvent, None]:
        """Speaker, codes, finish. Nothing comes before the first code, so an empty generation is tried again unheard.
        `place` of the segment in the reply, from 0.

        Raises what the LLM raises, and GenerationFailed when it draws nothing.
        """
        for seed in seeds(sampling, place):
            attempt = self._attempt(segment, replace(sampling, seed=seed), usage)
            async with aclosing(attempt) as events:
                speaker, first = await anext(events), await anext(events)
                if not isinstance(first, Finish):
                    yield speaker
                    yield first
                    async for event in events:
                        yield event
                    return
            self._metrics.empty_generations.inc()
        raise GenerationFailed("The model drew no speech for a part of the text.")

    async def _attempt(self, segment: Segment, sampling: Sampling, usage: Usage) -> AsyncGenerator[LlmEvent, None]:
        """What the LLM says, its codes gathered into messages."""
        least = _FRAMES_PER_MESSAGE * max(1, self._stages.model().llm.codebooks)
        held: list[int] = []
        async with aclosing(self._stages.llm.generate(segment.text, segment.voice, sampling)) as events:
            async for event in events:
                match event:
                    case SpeakerTokens():
                        yield event
                    case Finish():
                        self._count(event, usage)
                        if held:
                            yield tuple(held)
                        yield event
                    case tuple():
                        held += event
                        if len(held) >= least:
                            yield tuple(held)
                            held = []

    def _count(self, finish: Finish, usage: Usage) -> None:
        usage.input_tokens += finish.prompt_tokens
        usage.output_tokens += finish.completion_tokens
        if not finish.complete:
            self._metrics.cut_segments.inc()


def seeds(sampling: Sampling, place: int) -> tuple[int, ...]:
    """Of one segment, one for each attempt. A caller's seed gives the same reply every time, hence one attempt only.

    Without one the seed is drawn here, not by the LLM, so that a generation which breaks off can be drawn again.
    """
    if sampling.seed is not None:
        return ((sampling.seed + place) % SEEDS,)
    return (secrets.randbelow(SEEDS), secrets.randbelow(SEEDS))
