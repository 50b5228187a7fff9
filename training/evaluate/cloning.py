"""Is a cloned voice nearer to its own reference than to another's? By speakers that training never heard."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.llm.voices import ClonedVoice, ContinuedVoice, Speaker, Voice
from training.corpus.corpus import Corpus
from training.evaluate.sound import Samples, centroid, median_f0
from training.evaluate.voice import ExportedVoice

_LEAST_SAMPLES = 1600
"""In a shorter synthesis there is no voice to hear."""


@dataclass(frozen=True)
class Trial:
    """text, to be said in the voice of utterance `own`; `other` is of another speaker."""

    text: str
    own: int
    other: int


def trials(corpus: Corpus, texts: Sequence[str], count: int, seed: int) -> list[Trial]:
    draws = np.random.default_rng(seed)
    utterances = corpus.utterances
    made: list[Trial] = []
    while len(made) < count:
        own, other = (int(index) for index in draws.integers(len(utterances), size=2))
        if utterances[own].voice[:-1] != utterances[other].voice[:-1]:
            made.append(Trial(texts[len(made) % len(texts)], own, other))
    return made


def measure(voice: ExportedVoice, corpus: Corpus, tried: Sequence[Trial], *, transcript: bool) -> dict[str, float]:
    """Shares of the trials in which the synthesis is nearer to its own reference."""
    said = voice.say([(trial.text, _voice(voice, corpus, trial, transcript=transcript)) for trial in tried])
    return _nearer(voice, corpus, tried, [spoken.samples for spoken in said])


def recordings(voice: ExportedVoice, corpus: Corpus, tried: Sequence[Trial]) -> dict[str, float]:
    """The same of other recordings of the reference's own voice: as near as these measures let anything be."""
    others = [corpus.by_voice[corpus.utterances[trial.own].voice] for trial in tried]
    again = [_after(trial.own, indices) for trial, indices in zip(tried, others, strict=True)]
    return _nearer(voice, corpus, tried, [corpus.samples(index).numpy() for index in again])


def _after(index: int, indices: Sequence[int]) -> int:
    """The next, round again at the end."""
    return indices[(indices.index(index) + 1) % len(indices)]


def _nearer(
    voice: ExportedVoice, corpus: Corpus, tried: Sequence[Trial], spoken: Sequence[Samples]
) -> dict[str, float]:
    nearer = {"d_vector": 0, "f0": 0, "centroid": 0}
    for trial, samples in zip(tried, spoken, strict=True):
        if len(samples) < _LEAST_SAMPLES:
            continue
        made, own, other = (
            _traits(voice, each)
            for each in (samples, corpus.samples(trial.own).numpy(), corpus.samples(trial.other).numpy())
        )
        nearer["d_vector"] += _cosine(made[0], own[0]) > _cosine(made[0], other[0])
        nearer["f0"] += abs(np.log(made[1] / own[1])) < abs(np.log(made[1] / other[1]))
        nearer["centroid"] += abs(np.log(made[2] / own[2])) < abs(np.log(made[2] / other[2]))
    return {name: count / len(tried) for name, count in nearer.items()}


def global_tokens(voice: ExportedVoice, corpus: Corpus, tried: Sequence[Trial]) -> dict[str, float]:
    """Digits that two clips of one voice share, and clips of two speakers."""
    same, different = [], []
    for trial in tried:
        own = voice.tokens(corpus.samples(trial.own).numpy()).global_tokens
        again = corpus.by_voice[corpus.utterances[trial.own].voice][-1]
        same.append(_shared(own, voice.tokens(corpus.samples(again).numpy()).global_tokens))
        different.append(_shared(own, voice.tokens(corpus.samples(trial.other).numpy()).global_tokens))
    return {"shared_by_one_voice": float(np.mean(same)), "shared_by_two_speakers": float(np.mean(different))}


def _voice(voice: ExportedVoice, corpus: Corpus, trial: Trial, *, transcript: bool) -> Voice:
    tokens = voice.tokens(corpus.samples(trial.own).numpy())
    speaker = Speaker(tokens.global_tokens)
    if not transcript:
        return ClonedVoice(speaker)
    return ContinuedVoice(speaker, tokens.semantic_tokens, corpus.utterances[trial.own].text + " ")


def _traits(voice: ExportedVoice, samples: Samples) -> tuple[NDArray[np.float32], float, float]:
    return voice.d_vector(samples), max(median_f0(samples), 1.0), centroid(samples)


def _cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def _shared(first: Sequence[int], second: Sequence[int]) -> float:
    return float(np.mean([one == two for one, two in zip(first, second, strict=True)]))
