"""The codec by itself, in this process: what speech loses on its way through the tokens."""

from pathlib import Path
from typing import Any

import numpy as np
import soxr

from bench.speech.ears import SAMPLE_RATE, Samples
from services.codec.codec import Detokenizer, Tokenizer

FAMILY = "spark"


class Codec:
    def __init__(self, model: Path) -> None:
        """Raises CheckpointError."""
        # torch takes seconds to import.
        from services.codec.families.registry import load

        self._tokenizer: Tokenizer = load(FAMILY, "tokenizer", model, threads=1)
        self._detokenizer: Detokenizer[Any] = load(FAMILY, "detokenizer", model, threads=1)

    def reconstruct(self, samples: Samples) -> Samples:
        """[T] at SAMPLE_RATE -> [about T], decoded as a whole with the speaker's own tokens."""
        clip = soxr.resample(samples.astype(np.float64), SAMPLE_RATE, self._tokenizer.sample_rate, quality="VHQ")
        heard = self._tokenizer.tokenize([clip])[0]
        stream = self._detokenizer.open(heard.speaker, None)
        decoded = self._detokenizer.step([(stream, heard.frames.values, True)])[0]
        resampled: Samples = soxr.resample(decoded, self._detokenizer.sample_rate, SAMPLE_RATE, quality="VHQ")
        return resampled
