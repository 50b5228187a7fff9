"""One segment -> its tokens: seeds and the second attempt."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from services.gateway.clients.events import Finish, LlmEvent
from services.gateway.metrics import GatewayMetrics
from services.gateway.reply import Usage
from services.gateway.request import SEEDS, Sampling
from services.gateway.stages import Stages
from services.gateway.tokens import SpeakerTokens, VoiceTokens
from services.runtime.errors import GenerationFailed


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
        """Speaker, codes, finish. A speaker that the voice has already is named before the LLM is asked, so that the
        detokenizer gets ready meanwhile. An empty generation is tried again, by the same speaker: nothing of it was
        heard. `place` of the segment in the reply, from 0.

        Raises what the LLM raises, and GenerationFailed when it draws nothing.
        """
        speaker = segment.voice.speaker
        if speaker is not None:
            yield speaker
        for seed in seeds(sampling, place):
            drawn = False
            async with aclosing(self._drawn(segment, replace(sampling, seed=seed))) as events:
                async for event in events:
                    match event:
                        case SpeakerTokens():
                            if speaker is not None:
                                continue
                            speaker = event
                        case Finish():
                            self._count(event, usage)
                            if not drawn:
                                break
                        case tuple():
                            drawn = True
                    yield event
            if drawn:
                return
            self._metrics.empty_generations.inc()
        raise GenerationFailed("The model drew no speech for a part of the text.")

    def _drawn(self, segment: Segment, sampling: Sampling) -> AsyncGenerator[LlmEvent, None]:
        return self._stages.llm.generate(segment.text, segment.voice, sampling, self._stages.pace())

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
