"""The pipeline: text -> segments -> frames -> audio. It knows no model, no surface and no container.

The frames of the next segment are drawn while this one plays, and no further: a listener that reads slowly holds no
sequence of the LLM.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from services.contract.sampling import Sampling
from services.gateway.conversation import Conversation
from services.gateway.decoding import Decoding
from services.gateway.generation import Generation, Segment
from services.gateway.reply import Usage
from services.gateway.request import SpeechRequest, TextPiece, TextStreamRequest
from services.gateway.stages import Model, Stages
from services.gateway.text.segments import segments, sentences
from services.gateway.utterance import Utterance, Withdrawn
from services.gateway.voices.resolver import VoiceResolver
from services.runtime.audio import Audio
from services.runtime.streams import ahead, collected
from services.runtime.turns import Turns

# Segments whose frames may exist: the one that plays, and the next.
_SEGMENTS_IN_HAND = 2
# How long a reply without a letter or digit is.
_NOTHING_SECONDS = 0.2


@dataclass(frozen=True)
class Pauses:
    """`pause_seconds`: silence between segments. `quiet_seconds`: as of `sentences`, where no seed is given: what is
    said by a seed follows from the text alone.
    """

    pause_seconds: float
    quiet_seconds: float | None = None


class SegmentSlot(Protocol):
    """What a segment needs to be spoken."""

    async def begin_segment(self) -> None: ...

    def end_segment(self) -> None: ...


class Synthesis:
    def __init__(
        self,
        stages: Stages,
        voices: VoiceResolver,
        generation: Generation,
        decoding: Decoding,
        pauses: Pauses,
        turns: Turns,
    ) -> None:
        self._stages = stages
        self._voices = voices
        self._generation = generation
        self._decoding = decoding
        self._pauses = pauses
        self._turns = turns

    async def speak(self, request: SpeechRequest, usage: Usage) -> AsyncGenerator[Audio, None]:
        """At the model's own rate. A text with nothing to say ("...", an emoji) is a short silence.

        Raises what the voices and the stages raise, and GenerationFailed when the LLM draws nothing for words.
        """
        model = self._stages.model()
        usage.style = self._voices.heeded(request.turns[0].voice, request.turns[0].style, model)
        source, hand = self._segments(request, model), _InHand(None)
        async with aclosing(self._played(source, request.sampling, model, usage, request.output.whole, hand)) as audio:
            async for piece in audio:
                yield piece

    async def speak_stream(
        self,
        request: TextStreamRequest,
        pieces: AsyncGenerator[TextPiece, None],
        usage: Usage,
        slot: SegmentSlot | None = None,
    ) -> AsyncGenerator[Audio, None]:
        """The same for a text that is still being written; owns `pieces`. `slot`: needed while it is spoken."""
        model = self._stages.model()
        usage.style = self._voices.heeded(request.voice, request.style, model)
        source = self._streamed_segments(request, pieces, model)
        hand = _InHand(slot)
        async with aclosing(self._played(source, request.sampling, model, usage, request.output.whole, hand)) as audio:
            async for piece in audio:
                yield piece

    async def _segments(self, request: SpeechRequest, model: Model) -> AsyncGenerator[Segment, None]:
        for turn in request.turns:
            voice = await self._voices.resolve(turn.voice, turn.style, model)
            await self._turns.take()  # To find the next segment takes some milliseconds.
            for text in segments(turn.text, model.llm.max_segment_characters):
                yield Segment(text, voice)
                await self._turns.take()

    async def _streamed_segments(
        self, request: TextStreamRequest, pieces: AsyncGenerator[TextPiece, None], model: Model
    ) -> AsyncGenerator[Segment, None]:
        seeded = request.sampling.seed is not None
        limit, quiet = model.llm.max_segment_characters, None if seeded else self._pauses.quiet_seconds
        async with aclosing(sentences(pieces, limit, quiet, by_text_alone=seeded)) as texts:
            voice = await self._voices.resolve(request.voice, request.style, model)
            async for text in texts:
                yield Segment(text, voice)

    async def _played(
        self,
        source: AsyncGenerator[Segment, None],
        sampling: Sampling,
        model: Model,
        usage: Usage,
        whole: bool,
        hand: "_InHand",
    ) -> AsyncGenerator[Audio, None]:
        """`whole`: nobody hears a segment before its end, so that it can be drawn anew until then."""
        played = 0
        async with aclosing(ahead(self._utterances(source, sampling, model, usage, hand))) as utterances:
            async for utterance in utterances:
                if played and self._pauses.pause_seconds:
                    yield _silence(self._pauses.pause_seconds, model)
                async with aclosing(self._heard(utterance, model, usage, whole)) as chunks:
                    async for audio in chunks:
                        yield audio
                played += 1
                hand.release()
        if not played:
            yield _silence(_NOTHING_SECONDS, model)

    async def _utterances(
        self,
        source: AsyncGenerator[Segment, None],
        sampling: Sampling,
        model: Model,
        usage: Usage,
        hand: "_InHand",
    ) -> AsyncGenerator[Utterance, None]:
        """Each is given as soon as it is begun, and filled before the next. Its error ends them all."""
        conversation = Conversation(model.llm.max_context_frames)
        place = 0
        async with aclosing(source):
            async for segment in source:
                if not _has_words(segment.text):
                    continue
                await hand.acquire()
                await self._turns.take()
                utterance = Utterance(segment.voice.speaker, place)
                yield utterance
                spoken = replace(segment, voice=conversation.continued(segment.voice), place=place)
                try:
                    await self._generation.draw(spoken, sampling, model, usage, utterance)
                except Exception as exc:  # Who plays the utterance would wait for ever.
                    utterance.fail(exc)
                    raise
                conversation.add(segment.voice, segment.text, utterance)
                place += 1

    async def _heard(
        self, utterance: Utterance, model: Model, usage: Usage, whole: bool
    ) -> AsyncGenerator[Audio, None]:
        """The audio of one segment, of the drawing that counts."""
        while True:
            try:
                async with aclosing(self._decoding.audio(utterance, model, usage)) as chunks:
                    if whole:
                        held = await collected(chunks)
                    async for audio in chunks:
                        utterance.heard = True
                        yield audio
                break
            except Withdrawn:
                continue
        if whole:
            for audio in held:
                yield audio


class _InHand:
    """The segments whose frames may exist."""

    def __init__(self, slot: SegmentSlot | None) -> None:
        self._free = asyncio.Semaphore(_SEGMENTS_IN_HAND)
        self._slot = slot

    async def acquire(self) -> None:
        """Raises what the slot raises."""
        await self._free.acquire()
        if self._slot is not None:
            await self._slot.begin_segment()

    def release(self) -> None:
        self._free.release()
        if self._slot is not None:
            self._slot.end_segment()


def _silence(seconds: float, model: Model) -> Audio:
    return Audio(np.zeros(round(seconds * model.sample_rate), np.float32), model.sample_rate)


def _has_words(text: str) -> bool:
    """Whether there is a letter or a digit of any script."""
    return any(character.isalnum() for character in text)
