"""Batches for the second stage: tokens, and the samples that they stand for."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.codec.phases import planes
from training.corpus.corpus import Corpus
from training.frames import FIRST_FRAME, HOP
from training.tokens.store import Tokens

T = TypeVar("T")

BEFORE, AFTER = 12, 6
"""Frames at a cut edge whose sound is not judged: it would need the tokens beyond. Behind there are few, and the frames
beyond are often guessed as the served decoder guesses them, so that a short look-ahead will do.
"""
_GUESSED, _MOST_GUESSED = 0.5, 8
_WRONG, _OFTEN = 0.03, 0.4


@dataclass(frozen=True)
class Crop:
    """codes [B, F], globals_ [B, N] of the same clips, for a clone should sound as its reference and not as that voice
    does on average; f0 and phase [B, F] (see Pitch), samples [B, hop * F], and judged [B, hop * F]: 1 where the samples
    can be known from the tokens.
    """

    codes: Tensor
    globals_: Tensor
    f0: Tensor
    phase: Tensor
    samples: Tensor
    judged: Tensor


class Crops:
    """Endless. frames: of a crop, margins included; rows: of a batch; contents: how many there are; often: voices that
    are heard more often than others, and those that are named n times so many times as often; each of their phones as
    often as any other: what is rare in texts is not rare here.
    """

    def __init__(
        self,
        corpus: Corpus,
        tokens: Tokens,
        frames: int,
        rows: int,
        contents: int,
        often: Sequence[str],
        seed: Sequence[int],
    ) -> None:
        self._corpus, self._tokens, self._frames, self._rows, self._count = corpus, tokens, frames, rows, contents
        self._draws = np.random.default_rng(seed)
        self._long = [index for index, codes in enumerate(tokens.contents) if len(codes) >= frames]
        self._phones = [phones for phones in map(self._phones_of, often) if phones]
        if not self._long:
            raise ValueError(f"no utterance has {frames} frames")

    def __iter__(self) -> Iterator[Crop]:
        while True:
            yield self._batch()

    def _batch(self) -> Crop:
        indices, starts = zip(*(self._place() for _ in range(self._rows)), strict=True)
        rooms = [self._room(index) for index in indices]
        heard = [self._heard(index, start) for index, start in zip(indices, starts, strict=True)]
        codes, f0, phase = (np.stack(rows) for rows in zip(*heard, strict=True))
        cuts = [self._cut(start, room) for start, room in zip(starts, rooms, strict=True)]
        for row, cut in zip(codes, cuts, strict=True):
            row[cut:] = row[cut - 1]
        judged = [self._judged(start, cut, room) for start, cut, room in zip(starts, cuts, rooms, strict=True)]
        device = self._corpus.device
        places = [(index, HOP * start) for index, start in zip(indices, starts, strict=True)]
        return Crop(
            codes=torch.from_numpy(codes).to(device),
            f0=torch.from_numpy(f0).to(device),
            phase=torch.from_numpy(phase).to(device),
            globals_=torch.from_numpy(self._tokens.globals_[list(indices)].astype(np.int64)).to(device),
            samples=self._corpus.crops(places, HOP * self._frames),
            judged=torch.from_numpy(np.stack(judged)).to(device).repeat_interleave(HOP, dim=1),
        )

    def _phones_of(self, voice: str) -> list[list[tuple[int, int]]]:
        """For each phone where the voice says it: utterances and frames."""
        places: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for index in self._long:
            utterance = self._corpus.utterances[index]
            if utterance.voice == voice:
                for phone, sample in utterance.phones:
                    places[int(phone)].append((index, int(sample) // HOP))
        return list(places.values())

    def _place(self) -> tuple[int, int]:
        """Utterance and first frame."""
        if self._phones and self._draws.random() < _OFTEN:
            index, frame = self._one_of(self._one_of(self._one_of(self._phones)))
            start = frame - int(self._draws.integers(BEFORE, self._frames - AFTER))
        else:
            index = self._one_of(self._long)
            # Beyond the ends, and back: beginnings and ends come often enough.
            start = int(self._draws.integers(-BEFORE, self._room(index) + AFTER + 1))
        return index, min(max(start, 0), self._room(index))

    def _room(self, index: int) -> int:
        return len(self._tokens.contents[index]) - self._frames

    def _heard(self, index: int, start: int) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Codes, f0 and phase. Some planes are wrong, as they will be in use."""
        frames = np.arange(start, start + self._frames)
        f0, phase = self._corpus.pitches[index].at(FIRST_FRAME // 2 + HOP * frames)
        wrong = self._draws.random(len(frames)) < _WRONG
        turns = np.where(wrong, self._draws.random(len(frames), np.float32), phase)
        contents = self._tokens.contents[index][frames].astype(np.int64)
        return contents + self._count * planes(f0, turns), f0, phase

    def _cut(self, start: int, room: int) -> int:
        """From where on codes are guesses: the last one again."""
        if start == room or self._draws.random() >= _GUESSED:
            return self._frames
        return self._frames - int(self._draws.integers(1, _MOST_GUESSED + 1))

    def _judged(self, start: int, cut: int, room: int) -> NDArray[np.float32]:
        judged = np.ones(self._frames, np.float32)
        if start > 0:
            judged[:BEFORE] = 0
        if start < room:
            judged[cut - AFTER :] = 0
        return judged

    def _one_of(self, choices: Sequence[T]) -> T:
        return choices[int(self._draws.integers(len(choices)))]
