"""Is a cloned voice nearer to its own speaker than to another? By speakers that training never heard.

All three say the same words: sentences differ in the measures by more than many a pair of speakers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.codec.families.spark.tokenizer import VoiceTokens
from services.llm.voices import ClonedVoice, ContinuedVoice, Speaker, Voice
from training.corpus.corpus import Corpus
from training.evaluate.sound import Samples, centroid, median_f0
from training.evaluate.voice import ExportedVoice

MEASURES = ("d_vector", "f0", "centroid")
_LEAST_SAMPLES = 1600
"""In a shorter synthesis there is no voice to hear."""


@dataclass(frozen=True)
class Trial:
    """Utterances: `reference` and `own` have one voice, `own` and `other` the same sentence at the same speed."""

    reference: int
    own: int
    other: int


def trials(corpus: Corpus, count: int, seed: int) -> list[Trial]:
    draws = np.random.default_rng(seed)
    pairs = [pair for pair in corpus.by_group.values() if len(pair) == 2]
    chosen = [draws.permutation(pairs[index]).tolist() for index in draws.integers(len(pairs), size=count)]
    return [Trial(_after(own, corpus.by_voice[corpus.utterances[own].voice]), own, other) for own, other in chosen]


def measure(voice: ExportedVoice, corpus: Corpus, tried: Sequence[Trial], *, transcript: bool) -> dict[str, float]:
    """Shares of the trials in which the sentence, in the reference's voice, is nearer to its own speaker: by each
    measure, by most of them.
    """
    requests = [
        (corpus.utterances[trial.own].text, _voice(voice, corpus, trial, transcript=transcript)) for trial in tried
    ]
    return _nearer(voice, corpus, tried, [spoken.samples for spoken in voice.say(requests)])


def resynthesised(voice: ExportedVoice, corpus: Corpus, tried: Sequence[Trial]) -> dict[str, float]:
    """The same of the codec alone: the speaker's own semantic tokens, the reference's global tokens."""
    heard = [tuple(voice.tokens(_samples(corpus, at)) for at in (trial.reference, trial.own)) for trial in tried]
    return _nearer(
        voice,
        corpus,
        tried,
        [voice.decode(VoiceTokens(speaker.global_tokens, said.semantic_tokens)) for speaker, said in heard],
    )


def _after(index: int, indices: Sequence[int]) -> int:
    """The next, round again at the end."""
    return indices[(indices.index(index) + 1) % len(indices)]


def _nearer(
    voice: ExportedVoice, corpus: Corpus, tried: Sequence[Trial], spoken: Sequence[Samples]
) -> dict[str, float]:
    nearer: list[tuple[bool, ...]] = []
    for trial, samples in zip(tried, spoken, strict=True):
        if len(samples) >= _LEAST_SAMPLES:
            clips = (samples, _samples(corpus, trial.own), _samples(corpus, trial.other))
            made, own, other = (Traits.of(voice, clip) for clip in clips)
            nearer.append(made.nearer(own, other))
    counts = {name: sum(row[place] for row in nearer) for place, name in enumerate(MEASURES)}
    counts["most"] = sum(sum(row) >= 2 for row in nearer)
    return {name: count / len(tried) for name, count in counts.items()}


@dataclass(frozen=True)
class Traits:
    """Of a clip. f0: its median, centroid: of the spectrum; Hz."""

    d_vector: NDArray[np.float32]
    f0: float
    centroid: float

    @classmethod
    def of(cls, voice: ExportedVoice, samples: Samples) -> "Traits":
        return cls(voice.d_vector(samples), max(median_f0(samples), 1.0), centroid(samples))

    def nearer(self, own: "Traits", other: "Traits") -> tuple[bool, ...]:
        """To `own` than to `other`, by each of the MEASURES."""
        return (
            _cosine(self.d_vector, own.d_vector) > _cosine(self.d_vector, other.d_vector),
            _apart(self.f0, own.f0) < _apart(self.f0, other.f0),
            _apart(self.centroid, own.centroid) < _apart(self.centroid, other.centroid),
        )


def global_tokens(voice: ExportedVoice, corpus: Corpus, tried: Sequence[Trial]) -> dict[str, float]:
    """Digits that two clips of one voice share, and clips of two speakers."""
    same, different = [], []
    for trial in tried:
        reference, own, other = (
            voice.tokens(_samples(corpus, at)).global_tokens for at in (trial.reference, trial.own, trial.other)
        )
        same.append(_shared(own, reference))
        different.append(_shared(own, other))
    return {"shared_by_one_voice": float(np.mean(same)), "shared_by_two_speakers": float(np.mean(different))}


def _voice(voice: ExportedVoice, corpus: Corpus, trial: Trial, *, transcript: bool) -> Voice:
    tokens = voice.tokens(_samples(corpus, trial.reference))
    speaker = Speaker(tokens.global_tokens)
    if not transcript:
        return ClonedVoice(speaker)
    return ContinuedVoice(speaker, tokens.semantic_tokens, corpus.utterances[trial.reference].text + " ")


def _samples(corpus: Corpus, index: int) -> Samples:
    samples: Samples = corpus.samples(index).numpy()
    return samples


def _cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def _apart(first: float, second: float) -> float:
    return abs(float(np.log(first / second)))


def _shared(first: Sequence[int], second: Sequence[int]) -> float:
    return float(np.mean([one == two for one, two in zip(first, second, strict=True)]))
