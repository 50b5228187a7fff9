"""Batches for the codec: what a voice says, as contents and planes; another clip of that voice; and how it sounds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.codec.phases import planes_at
from training.contents.features import moments_of
from training.corpus.corpus import Corpus
from training.corpus.speakers import Cast
from training.frames import FIRST_FRAME, HOP

FRAMES, MARGIN = 64, 8
"""Of a row; and those at either end that are not judged, because the frames beyond are missing."""
# A reference clip lasts at least this share of the longest, and is as good as a long one.
_SHORTEST = 0.4


@dataclass(frozen=True)
class Batch:
    """contents, planes [B, F]; samples [B, T] of these frames, reference [2 B, R] of other moments of the same voices
    and, behind them, of more voices; traits [2 B, N] of the voices. Rows 2i and 2i + 1 have the same voice.
    """

    contents: Tensor
    planes: Tensor
    samples: Tensor
    reference: Tensor
    traits: Tensor


class Batches:
    """Endless. contents: of each utterance [F]; reference: samples of the longest."""

    def __init__(
        self,
        corpus: Corpus,
        contents: Sequence[NDArray[np.uint16]],
        cast: Cast,
        rows: int,
        reference: int,
        seed: Sequence[int],
    ) -> None:
        self._corpus, self._contents, self._rows, self._reference = corpus, contents, rows, reference
        self._traits = standard_traits(cast)
        self._draws = np.random.default_rng(seed)
        long = {index for index, row in enumerate(contents) if len(row) >= FRAMES}
        voices = corpus.by_voice.items()
        self._by_voice = {voice: [index for index in indices if index in long] for voice, indices in voices}
        self._long = sorted(long)
        if not self._long:
            raise ValueError(f"no utterance has {FRAMES} frames")

    def __iter__(self) -> Iterator[Batch]:
        while True:
            yield self._batch()

    def _batch(self) -> Batch:
        corpus, device = self._corpus, self._corpus.device
        voices = [corpus.utterances[self._one_of(self._long)].voice for _ in range(self._rows)]
        voices = [voice for voice in voices for _ in range(2)]
        indices = [self._one_of(self._by_voice[voice]) for voice in voices[: self._rows]]
        starts = [int(self._draws.integers(len(self._contents[index]) - FRAMES + 1)) for index in indices]
        places = list(zip(indices, starts, strict=True))
        references = [self._heard(voice) for voice in voices]
        length = round(self._reference * self._draws.uniform(_SHORTEST, 1.0))
        return Batch(
            contents=torch.from_numpy(np.stack([self._contents_at(*place) for place in places])).to(device),
            planes=torch.from_numpy(np.stack([self._planes_at(*place) for place in places])).to(device),
            samples=corpus.crops([(index, HOP * start) for index, start in places], HOP * FRAMES + FIRST_FRAME - HOP),
            reference=corpus.crops(references, length),
            traits=torch.stack([self._traits[voice] for voice in voices]).to(device),
        )

    def _contents_at(self, index: int, start: int) -> NDArray[np.int64]:
        return self._contents[index][start : start + FRAMES].astype(np.int64)

    def _planes_at(self, index: int, start: int) -> NDArray[np.int64]:
        return planes_at(moments_of(FRAMES, start), self._corpus.pitches[index])

    def _heard(self, voice: str) -> tuple[int, int]:
        index = self._one_of(self._corpus.by_voice[voice])
        room = self._corpus.utterances[index].samples - self._reference
        return index, int(self._draws.integers(max(1, room + 1)))

    def _one_of(self, choices: Sequence[int]) -> int:
        return choices[int(self._draws.integers(len(choices)))]


def standard_traits(cast: Cast) -> Mapping[str, Tensor]:
    """Of every voice, with mean 0 and deviation 1."""
    traits = torch.tensor([voice.traits for voice in cast.voices.values()])
    standard = (traits - traits.mean(0)) / (traits.std(0) + 1e-6)
    return dict(zip(cast.voices, standard, strict=True))
