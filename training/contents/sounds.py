"""How frames sound, as trees compare them: cepstra, which tell of formants and not of pitch."""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from training.codec.spectra import MELS, Spectra
from training.contents.features import features, moments_of
from training.corpus.corpus import Corpus
from training.corpus.phones import INDEX, SILENCE

_CEPSTRA = 24


def heard(corpus: Corpus, index: int) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Of one utterance: phones [F], features [F, D], and cepstra [F, C] relative to the mean of what is not silence."""
    coarse, _ = Spectra()(corpus.samples(index)[None])
    mel = coarse[0, :, :MELS].numpy()
    cepstra = dct(mel, norm="ortho")[:, :_CEPSTRA]
    phones, places = features(moments_of(len(mel)), corpus.utterances[index])
    return phones, places, cepstra - cepstra[phones != INDEX[SILENCE]].mean(0)
