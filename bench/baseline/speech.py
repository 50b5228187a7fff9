"""Text -> audio, segment by segment, as it is drawn."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Self

from bench.baseline.chunks import ChunkedDecoder, Samples
from bench.baseline.generation import Generator
from services.codec.families.spark.config import SparkConfig
from services.codec.families.spark.decoder import SparkDetokenizer
from services.contract.families.spark import SparkSpeaker
from services.contract.generation import HeardVoice, MadeUpVoice
from services.gateway.text.segments import segments
from services.llm.families import load_family
from services.llm.families.family import Family, Prompt
from services.llm.sampling import ResolvedSampling

_WORDS = "The quick brown fox jumps over the lazy dog."


class Speech:
    """One voice, made up once. The codec decodes one chunk at a time, beside the event loop."""

    def __init__(
        self,
        family: Family,
        generator: Generator,
        detokenizer: SparkDetokenizer,
        voice: MadeUpVoice | HeardVoice,
    ) -> None:
        self._family = family
        self._generator = generator
        self._detokenizer = detokenizer
        self._voice = voice
        self._codec = ThreadPoolExecutor(1)

    @classmethod
    def load(cls, model: Path) -> Self:
        family = load_family("spark", model)
        generator = Generator(family.engine_model.directory, family.stop_ids)
        return cls(family, generator, SparkDetokenizer.load(model), _default_voice(model, family, generator))

    async def speak(self, text: str, max_tokens: int | None) -> AsyncGenerator[Samples, None]:
        """`max_tokens` of each segment; None: as many as its text may take."""
        assert self._voice.speaker is not None
        decode = partial(self._detokenizer.decode, self._voice.speaker.global_tokens)
        decoder = ChunkedDecoder(decode, self._detokenizer.hop)
        for segment in segments(text, self._family.description.max_segment_characters):
            for codes in self._codes(segment, max_tokens):
                decoder.add(codes)
                while decoder.due:
                    yield await self._decoded(decoder.chunk)
        yield await self._decoded(decoder.end)

    def _codes(self, segment: str, max_tokens: int | None) -> Iterator[Sequence[int]]:
        prompt = self._family.prompt(segment, self._voice)
        reader = self._family.reader(prompt)
        for ids in self._generator.generate(prompt.ids, _sampling(prompt, max_tokens)):
            frames = reader.read(ids, last=False).frames
            if frames is not None:
                yield frames.codes

    async def _decoded(self, chunk: Callable[[], Samples]) -> Samples:
        return await asyncio.get_running_loop().run_in_executor(self._codec, chunk)


def _sampling(prompt: Prompt, max_tokens: int | None) -> ResolvedSampling:
    """As our LLM stage fills it in."""
    most = prompt.limits.usual_most if max_tokens is None else min(max_tokens, prompt.limits.most)
    return ResolvedSampling(max_tokens=most, min_tokens=min(prompt.limits.usual_least, most))


def _default_voice(model: Path, family: Family, generator: Generator) -> MadeUpVoice | HeardVoice:
    """The default voice with the speaker that the model makes up; any speaker where it cannot."""
    description = family.description
    voices = [each.design for each in description.built_in_voices if each.id == description.default_voice]
    if not voices or voices[0] is None:
        return HeardVoice(_anybody(SparkConfig.read(model)).speaker())
    prompt = family.prompt(_WORDS, MadeUpVoice(voices[0]))
    reader = family.reader(prompt)
    drawn = generator.generate(prompt.ids, _sampling(prompt, None))
    named = (speaker for ids in drawn if (speaker := reader.read(ids, last=False).speaker) is not None)
    return MadeUpVoice(voices[0], next(named))


def _anybody(config: SparkConfig) -> SparkSpeaker:
    speaker = config.codec.speaker_encoder
    return SparkSpeaker(tuple(place % speaker.codebook_size for place in range(speaker.token_num)))
