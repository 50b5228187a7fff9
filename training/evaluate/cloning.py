"""Is a cloned voice nearer to its reference than to another speaker's clip? By speakers that training never heard."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.codec.families.spark.tokenizer import SparkTokens
from services.contract.families.spark import SparkSpeaker
from services.contract.frames import Frames
from services.contract.generation import HeardVoice, Turn
from training.corpus.corpus import Corpus
from training.evaluate.sound import Samples, centroid, median_f0
from training.evaluate.voice import ExportedVoice

MEASURES = ("d_vector", "f0", "centroid")
_LEAST_SAMPLES = 1600
"""In a shorter synthesis there is no voice to hear."""


@dataclass(frozen=True)
class Trial:
    """Utterances: `reference` and `said` have one voice, `reference` and `other` the same words at the same speed."""

    reference: int
    other: int
    said: int


def trials(corpus: Corpus, count: int, seed: int) -> list[Trial]:
    draws = np.random.default_rng(seed)
    pairs = [pair for pair in corpus.by_group.values() if len(pair) == 2]
    chosen = [draws.permutation(pairs[index]).tolist() for index in draws.integers(len(pairs), size=count)]
    return [
        Trial(reference, other, _after(reference, corpus.by_voice[corpus.utterances[reference].voice]))
        for reference, other in chosen
    ]


def measure(voice: ExportedVoice, corpus: Corpus, tried: Sequence[Trial], *, transcript: bool) -> dict[str, float]:
    """Shares of the trials in which the text of `said`, in the reference's voice, is nearer to the reference: by each
    measure, by most of them.
    """
    requests = [
        (corpus.utterances[trial.said].text, _voice(voice, corpus, trial, transcript=transcript)) for trial in tried
    ]
    return _nearer(voice, corpus, tried, [spoken.samples for spoken in voice.say(requests)])


def recordings(voice: ExportedVoice, corpus: Corpus, tried: Sequence[Trial]) -> dict[str, float]:
    """The same of the speaker's own recordings: what sentences differ in."""
    return _nearer(voice, corpus, tried, [_samples(corpus, trial.said) for trial in tried])


def resynthesised(voice: ExportedVoice, corpus: Corpus, tried: Sequence[Trial]) -> dict[str, float]:
    """The same of the codec alone: the recordings' semantic tokens, the reference's global tokens."""
    heard = [tuple(voice.tokens(_samples(corpus, at)) for at in (trial.reference, trial.said)) for trial in tried]
    return _nearer(
        voice,
        corpus,
        tried,
        [voice.decode(SparkTokens(speaker.global_tokens, said.semantic_tokens)) for speaker, said in heard],
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
            clips = (samples, _samples(corpus, trial.reference), _samples(corpus, trial.other))
            made, reference, other = (Traits.of(voice, clip) for clip in clips)
            nearer.append(made.nearer(reference, other))
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

    def nearer(self, reference: "Traits", other: "Traits") -> tuple[bool, ...]:
        """To `reference` than to `other`, by each of the MEASURES."""
        return (
            _cosine(self.d_vector, reference.d_vector) > _cosine(self.d_vector, other.d_vector),
            _apart(self.f0, reference.f0) < _apart(self.f0, other.f0),
            _apart(self.centroid, reference.centroid) < _apart(self.centroid, other.centroid),
        )


def global_tokens(voice: ExportedVoice, corpus: Corpus, tried: Sequence[Trial]) -> dict[str, float]:
    """Digits that two clips of one voice share, and clips of two speakers."""
    same, different = [], []
    for trial in tried:
        reference, other, said = (
            voice.tokens(_samples(corpus, at)).global_tokens for at in (trial.reference, trial.other, trial.said)
        )
        same.append(_shared(reference, said))
        different.append(_shared(reference, other))
    return {"shared_by_one_voice": float(np.mean(same)), "shared_by_two_speakers": float(np.mean(different))}


def _voice(voice: ExportedVoice, corpus: Corpus, trial: Trial, *, transcript: bool) -> HeardVoice:
    tokens = voice.tokens(_samples(corpus, trial.reference))
    speaker = SparkSpeaker(tuple(tokens.global_tokens)).speaker()
    if not transcript:
        return HeardVoice(speaker)
    words = corpus.utterances[trial.reference].text + " "
    return HeardVoice(speaker, (Turn(words, Frames.of_codes(tokens.semantic_tokens)),))


def _samples(corpus: Corpus, index: int) -> Samples:
    samples: Samples = corpus.samples(index).numpy()
    return samples


def _cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def _apart(first: float, second: float) -> float:
    return abs(float(np.log(first / second)))


def _shared(first: Sequence[int], second: Sequence[int]) -> float:
    return float(np.mean([one == two for one, two in zip(first, second, strict=True)]))
