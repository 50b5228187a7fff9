"""Two ways to hear what was said, both of pocketsphinx with its own English model.

A general recogniser hears even clear synthetic speech badly, so the figure that tells is the closed set: which of a
known list of sentences was it?

Everything is heard as loud, and in the same faint noise: synthetic speech holds digital silence, which no microphone
gives. Its features lie outside the acoustic model, so that on dev.txt only .45 of espeak-ng's sentences were picked.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pocketsphinx import Config, Decoder

from bench.speech.sentences import spoken
from services.cli.failure import Failure

SAMPLE_RATE = 16_000
LOUDNESS = 0.1
"""RMS of what is heard; full scale is 1."""
NOISE_DECIBELS = -30.0
"""Of the noise, against the speech."""
MARGIN_SECONDS = 0.25

Samples = NDArray[np.float32]


class ClosedSet:
    """Hears exactly one of `sentences`, or nothing."""

    def __init__(self, sentences: Sequence[str]) -> None:
        """Raises Failure for words that are not in pocketsphinx's dictionary."""
        # The best path of the lattice may end in mid-sentence; without it only a whole sentence counts. The default
        # beams drop one sentence in forty of some of espeak-ng's voices.
        beams = {"beam": 1e-80, "pbeam": 1e-80, "wbeam": 1e-60}
        self._decoder = Decoder(Config(samprate=SAMPLE_RATE, loglevel="FATAL", lm=None, bestpath=False, **beams))
        alternatives = [spoken(sentence) for sentence in sentences]
        self._check(sorted({word for sentence in alternatives for word in sentence.split()}))
        grammar = f"#JSGF V1.0;\ngrammar closed;\npublic <said> = {' | '.join(alternatives)};"
        self._decoder.add_jsgf_string("closed", grammar)
        self._decoder.activate_search("closed")

    def hear(self, samples: Samples) -> str:
        """samples: [T] at SAMPLE_RATE -> the sentence as `spoken` gives it; empty when none fits."""
        return _decode(self._decoder, samples)

    def _check(self, words: Sequence[str]) -> None:
        unknown = [word for word in words if self._decoder.lookup_word(word) is None]
        if unknown:
            raise Failure(f"Not in the dictionary of pocketsphinx: {', '.join(unknown)}.")


class Dictation:
    """Hears any English words, with the general language model."""

    def __init__(self) -> None:
        self._decoder = Decoder(Config(samprate=SAMPLE_RATE, loglevel="FATAL"))

    def hear(self, samples: Samples) -> str:
        return _decode(self._decoder, samples)


def in_a_room(samples: Samples) -> Samples:
    """The same speech at LOUDNESS, in noise that begins before it and ends after it. The noise is always the same."""
    margin = round(MARGIN_SECONDS * SAMPLE_RATE)
    loudness = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    noise = np.random.default_rng(0).normal(0.0, LOUDNESS * 10 ** (NOISE_DECIBELS / 20), len(samples) + 2 * margin)
    heard = noise.astype(np.float32)
    if loudness > 0:
        heard[margin : margin + len(samples)] += samples * np.float32(LOUDNESS / loudness)
    return heard


def _decode(decoder: Decoder, samples: Samples) -> str:
    heard = np.rint(in_a_room(samples).clip(-1, 1) * 32767).astype("<i2")
    decoder.start_utt()
    decoder.process_raw(heard.tobytes(), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return "" if hypothesis is None else str(hypothesis.hypstr)
