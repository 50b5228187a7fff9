"""The pipeline: text -> segments -> tokens -> audio. It knows no model, no surface and no container.

The tokens of the next segment are drawn while this one plays, and no further: a listener that reads slowly holds no
sequence of the LLM.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np

from services.gateway.clients.events import Finish, LlmEvent
from services.gateway.generation import Generation, Segment
from services.gateway.reply import Usage
from services.gateway.request import Sampling, SpeechRequest, TextPiece, TextStreamRequest
from services.gateway.stages import Stages
from services.gateway.text.segments import segments, sentences
from services.gateway.tokens import Codes, SpeakerTokens
from services.gateway.voices.resolver import VoiceResolver
from services.runtime.audio import Audio
from services.runtime.streams import ahead

# Segments whose tokens may exist: the one that plays, and the next.
_SEGMENTS_IN_HAND = 2
# How long a reply without a letter or digit is.
_NOTHING_SECONDS = 0.2


class Synthesis:
    """`pause_seconds`: silence between segments."""

    def __init__(self, stages: Stages, voices: VoiceResolver, generation: Generation, pause_seconds: float) -> None:
        self._stages = stages
        self._voices = voices
        self._generation = generation
        self._pause_seconds = pause_seconds

    def speak(self, request: SpeechRequest, usage: Usage) -> AsyncGenerator[Audio, None]:
        """At the model's own rate. A text with nothing to say ("...", an emoji) is a short silence.

        Raises what the voices and the stages raise, and GenerationFailed when the LLM draws nothing for words.
        """
        return self._play(self._segments(request), request.sampling, usage)

    def speak_stream(
        self, request: TextStreamRequest, pieces: AsyncGenerator[TextPiece, None], usage: Usage
    ) -> AsyncGenerator[Audio, None]:
        """The same for a text that is still being written; owns `pieces`."""
        return self._play(self._streamed_segments(request, pieces), request.sampling, usage)

    async def _segments(self, request: SpeechRequest) -> AsyncGenerator[Segment, None]:
        limit = self._stages.model().llm.max_segment_characters
        for turn in request.turns:
            voice = await self._voices.resolve(turn.voice, turn.style)
            for text in segments(turn.text, limit):
                yield Segment(text, voice)

    async def _streamed_segments(
        self, request: TextStreamRequest, pieces: AsyncGenerator[TextPiece, None]
    ) -> AsyncGenerator[Segment, None]:
        limit = self._stages.model().llm.max_segment_characters
        async with aclosing(sentences(pieces, limit)) as texts:
            voice = await self._voices.resolve(request.voice, request.style)
            async for text in texts:
                yield Segment(text, voice)

    async def _play(
        self, source: AsyncGenerator[Segment, None], sampling: Sampling, usage: Usage
    ) -> AsyncGenerator[Audio, None]:
        slots = asyncio.Semaphore(_SEGMENTS_IN_HAND)
        played = 0
        async with aclosing(ahead(self._tokens(source, sampling, usage, slots))) as events:
            async for speaker in events:
                assert isinstance(speaker, SpeakerTokens)
                if played and self._pause_seconds:
                    yield self._silence(self._pause_seconds)
                async with aclosing(self._stages.detokenizer.decode(speaker, _until_finish(events))) as chunks:
                    async for audio in chunks:
                        yield audio
                played += 1
                slots.release()
        if not played:
            yield self._silence(_NOTHING_SECONDS)

    async def _tokens(
        self, source: AsyncGenerator[Segment, None], sampling: Sampling, usage: Usage, slots: asyncio.Semaphore
    ) -> AsyncGenerator[LlmEvent, None]:
        """For each segment in turn its speaker, its codes, its finish."""
        place = 0
        async with aclosing(source):
            async for segment in source:
                if not _has_words(segment.text):
                    continue
                await slots.acquire()
                async with aclosing(self._generation.events(segment, sampling, place, usage)) as events:
                    async for event in events:
                        yield event
                place += 1

    def _silence(self, seconds: float) -> Audio:
        rate = self._stages.model().sample_rate
        return Audio(np.zeros(round(seconds * rate), np.float32), rate)


async def _until_finish(events: AsyncGenerator[LlmEvent, None]) -> AsyncGenerator[Codes, None]:
    """The codes of one segment; the finish is taken, the rest is left to the caller, who owns `events`."""
    async for event in events:
        if isinstance(event, Finish):
            return
        assert not isinstance(event, SpeakerTokens)
        yield event


def _has_words(text: str) -> bool:
    """Whether there is a letter or a digit of any script."""
    return any(character.isalnum() for character in text)
