"""How frames sound, as trees compare them: cepstra, which tell of formants and not of pitch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.codec.spectra import MELS, Spectra
from training.contents.features import features, moments_of
from training.corpus.corpus import Corpus
from training.corpus.phones import INDEX, SILENCE

_CEPSTRA = 24


@dataclass(frozen=True)
class Sounds:
    """phones [N], features [N, D], and cepstra [N, C] relative to the voice's mean of what is not silence."""

    phones: NDArray[np.int64]
    features: NDArray[np.float32]
    cepstra: NDArray[np.float32]

    @classmethod
    def of(cls, corpus: Corpus, indices: Sequence[int]) -> "Sounds":
        """Of these utterances, one behind the other."""
        spectra, cosines = Spectra(), _cosines()
        cepstra = [spectra(corpus.samples(index)[None])[0][0, :, :MELS].numpy() @ cosines for index in indices]
        places = [
            features(moments_of(len(rows)), corpus.utterances[index])
            for index, rows in zip(indices, cepstra, strict=True)
        ]
        voices = [corpus.utterances[index].voice for index in indices]
        phones = np.concatenate([each for each, _ in places])
        of_voice = np.repeat(voices, [len(rows) for rows in cepstra])
        relative = _relative(np.concatenate(cepstra), phones != INDEX[SILENCE], of_voice)
        return cls(phones, np.concatenate([each for _, each in places]), relative)


def _relative(
    cepstra: NDArray[np.float32], sounding: NDArray[np.bool_], voices: NDArray[np.str_]
) -> NDArray[np.float32]:
    for voice in np.unique(voices):
        spoken = voices == voice
        cepstra[spoken] -= cepstra[spoken & sounding].mean(0)
    return cepstra


def _cosines() -> NDArray[np.float32]:
    """[MELS, _CEPSTRA]; loudness, the first, has no smaller weight."""
    angles = np.pi * (np.arange(MELS)[:, None] + 0.5) * np.arange(_CEPSTRA) / MELS
    cosines: NDArray[np.float32] = np.cos(angles).astype(np.float32) / np.sqrt(MELS // 2)
    return cosines
