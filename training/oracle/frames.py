"""The frames of many utterances, with all that text tells of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.corpus.kokoro_phones import INDEX, PAUSE, SILENCES
from training.frames import HOP
from training.oracle.speech import Spoken
from training.oracle.vocoder import ENVELOPE

NOISE_WEIGHT = 0.1
"""Of aperiodicity, in dB, beside the coefficients of the envelope."""
AROUND = 2
PLACES = 4


@dataclass(frozen=True)
class Known:
    """What text, with the times of its phones, tells of frames. around [F, 1 + 2 * AROUND]: phones, the frame's own in
    the middle; stress [F]; places [F, PLACES]: the share of the phone that has passed, the frames that have, those to
    come, the frames of the phone.
    """

    around: NDArray[np.int64]
    stress: NDArray[np.int64]
    places: NDArray[np.float32]

    @property
    def phones(self) -> NDArray[np.int64]:
        return self.around[:, AROUND]

    @classmethod
    def of(cls, spoken: Spoken) -> "Known":
        moments = HOP * np.arange(len(spoken.frames.f0))
        labels, starts, stress = spoken.phones.T
        index = np.searchsorted(starts, moments, side="right") - 1
        bounds = np.append(starts, max(len(spoken.samples), int(starts[-1]) + HOP))
        begin, end = bounds[index], bounds[index + 1]
        length = np.maximum(end - begin, 1)
        places = np.stack([(moments - begin) / length, (moments - begin) / HOP, (end - moments) / HOP, length / HOP], 1)
        padded = np.pad(labels, AROUND, constant_values=INDEX[PAUSE])
        around = np.stack([padded[index + shift] for shift in range(1 + 2 * AROUND)], 1)
        return cls(around, stress[index], places.astype(np.float32))

    @classmethod
    def joined(cls, parts: Sequence["Known"]) -> "Known":
        return cls(
            *(np.concatenate(each) for each in zip(*((p.around, p.stress, p.places) for p in parts), strict=True))
        )


@dataclass(frozen=True)
class Heap:
    """Of utterances, one behind the other. sounds [N, ENVELOPE + 1]: relative to the mean of the voice, weighted;
    means [N, ENVELOPE + 1]: that mean, weighted; lengths: frames of each utterance.
    """

    known: Known
    sounds: NDArray[np.float32]
    means: NDArray[np.float32]
    lengths: tuple[int, ...]
    weights: NDArray[np.float32]

    @classmethod
    def of(cls, utterances: Sequence[Spoken], *, normalised: bool = True, loudness: float = 1.0) -> "Heap":
        """A voice's mean is of all its frames here that are no silence; not `normalised`: of all voices'. loudness: the
        weight of the first coefficient.
        """
        each = [Known.of(spoken) for spoken in utterances]
        known = Known.joined(each)
        lengths = tuple(len(one.stress) for one in each)
        weights = np.array([loudness, *[1.0] * (ENVELOPE - 1), NOISE_WEIGHT], np.float32)
        sounds = np.concatenate([spoken.frames.envelope for spoken in utterances]) * weights
        voices = np.repeat([spoken.voice if normalised else "" for spoken in utterances], lengths)
        sounding, means = ~np.isin(known.phones, SILENCES), np.zeros_like(sounds)
        for voice in np.unique(voices):
            means[voices == voice] = sounds[(voices == voice) & sounding].mean(0)
        return cls(known, sounds - means, means, lengths, weights)

    def envelopes(self, sounds: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Of each utterance [F, ENVELOPE + 1], if its frames sounded so: relative and weighted as `sounds` is."""
        return np.split((sounds + self.means) / self.weights, np.cumsum(self.lengths)[:-1])
