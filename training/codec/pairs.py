"""Batches for the first stage: what one voice says is to be heard in another's.

A source says a text, a target says the same text, phone by phone at nearly the same times, and a reference is something
else that the target's voice says. From the source's codes and the reference's global tokens the codec must make the
target: so codes learn to carry what is said, and global tokens who says it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.codec.phases import planes_at
from training.corpus.corpus import Corpus
from training.corpus.speakers import Cast
from training.corpus.utterance import SAMPLE_RATE, Utterance
from training.frames import FIRST_FRAME, HOP

# Lengths of crops in seconds: attention must work at all of them.
_SECONDS = (1.6, 2.4, 2.4, 3.2, 4.8)
_SAME_VOICE = 0.35
# A reference clip lasts at least this share of the longest, and is as good as a long one.
_SHORTEST = 0.4


@dataclass(frozen=True)
class Batch:
    """source, target [B, T], reference [B, R]: samples. frames [B, F]: for each frame of the target the frame of the
    source that holds the same moment of the text; planes [B, F] of the source, target_planes and phones [B, F] of the
    target. traits [B, N] of the voices; rows 2i and 2i + 1 have the same voice.
    """

    source: Tensor
    target: Tensor
    reference: Tensor
    frames: Tensor
    phones: Tensor
    planes: Tensor
    target_planes: Tensor
    traits: Tensor


@dataclass(frozen=True)
class Place:
    """One row: which utterances, and where their crops begin."""

    source: tuple[int, int]
    target: tuple[int, int]
    reference: tuple[int, int]
    frames: NDArray[np.int64]
    phones: NDArray[np.int64]
    planes: NDArray[np.int64]
    target_planes: NDArray[np.int64]
    voice: str


class Pairs:
    """Endless. `seconds`: of targets in a batch."""

    def __init__(self, corpus: Corpus, cast: Cast, seconds: float, reference: int, seed: Sequence[int]) -> None:
        self._corpus, self._seconds, self._reference = corpus, seconds, reference
        self._traits = standard_traits(cast)
        self._draws = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            yield self._batch(float(self._draws.choice(_SECONDS)))

    def _batch(self, seconds: float) -> Batch:
        length = int(seconds * SAMPLE_RATE) // HOP * HOP + FIRST_FRAME - HOP
        rows = max(2, round(self._seconds / seconds) // 2 * 2)
        places: list[Place] = []
        while len(places) < rows:
            first = int(self._draws.integers(len(self._corpus.utterances)))
            voice = self._corpus.by_voice[self._corpus.utterances[first].voice]
            places.extend(self._place(index, voice, length) for index in (first, self._one_of(voice)))
        corpus, device = self._corpus, self._corpus.device
        return Batch(
            source=corpus.crops([place.source for place in places], length),
            target=corpus.crops([place.target for place in places], length),
            reference=corpus.crops([place.reference for place in places], self._some()),
            frames=torch.from_numpy(np.stack([place.frames for place in places])).to(device),
            phones=torch.from_numpy(np.stack([place.phones for place in places])).to(device),
            planes=torch.from_numpy(np.stack([place.planes for place in places])).to(device),
            target_planes=torch.from_numpy(np.stack([place.target_planes for place in places])).to(device),
            traits=torch.stack([self._traits[place.voice] for place in places]).to(device),
        )

    def _place(self, index: int, voice: list[int], length: int) -> Place:
        utterances, draws = self._corpus.utterances, self._draws
        target = utterances[index]
        other = index if draws.random() < _SAME_VOICE else self._one_of(self._corpus.by_group[target.group])
        source = utterances[other]
        if not np.array_equal(source.phones[:, 0], target.phones[:, 0]):
            other, source = index, target
        start = int(draws.integers(max(1, target.samples - length + 1)))
        moments = start + FIRST_FRAME // 2 + HOP * np.arange(1 + (length - FIRST_FRAME) // HOP)
        begin = int(same_moment(np.array([start]), target, source)[0])
        frames = np.rint((same_moment(moments, target, source) - begin - FIRST_FRAME / 2) / HOP)
        return Place(
            source=(other, begin),
            target=(index, start),
            reference=self._heard(voice),
            frames=frames.clip(0, len(moments) - 1).astype(np.int64),
            phones=phones_at(moments, target),
            planes=planes_at(begin + moments - start, self._corpus.pitches[other]),
            target_planes=planes_at(moments, self._corpus.pitches[index]),
            voice=target.voice,
        )

    def _some(self) -> int:
        """Samples of the references in a batch."""
        return round(self._reference * self._draws.uniform(_SHORTEST, 1.0))

    def _heard(self, voice: list[int]) -> tuple[int, int]:
        index = self._one_of(voice)
        room = self._corpus.utterances[index].samples - self._reference
        return index, int(self._draws.integers(max(1, room + 1)))

    def _one_of(self, choices: list[int]) -> int:
        return choices[int(self._draws.integers(len(choices)))]


def standard_traits(cast: Cast) -> dict[str, Tensor]:
    """By voice; over all of them each trait has mean 0 and deviation 1."""
    traits = torch.tensor([voice.traits for voice in cast.voices.values()])
    return dict(zip(cast.voices, (traits - traits.mean(0)) / traits.std(0), strict=True))


def same_moment(samples: NDArray[np.int64], utterance: Utterance, other: Utterance) -> NDArray[np.float64]:
    """Where in `other` the moments of the text are that are at `samples` in `utterance`; both have the same phones."""
    here = np.concatenate([[0], utterance.phones[:, 1], [utterance.samples]])
    there = np.concatenate([[0], other.phones[:, 1], [other.samples]])
    beyond = np.maximum(samples - utterance.samples, 0)
    there_then: NDArray[np.float64] = np.interp(samples, here, there) + beyond
    return there_then


def phones_at(samples: NDArray[np.int64], utterance: Utterance) -> NDArray[np.int64]:
    """Indices of phones; silence (0) before the first."""
    index = np.searchsorted(utterance.phones[:, 1], samples, side="right") - 1
    return np.where(index < 0, 0, utterance.phones[index, 0]).astype(np.int64)
