"""Where each frame stands among the phones: all that its content may depend on."""

import numpy as np
from numpy.typing import NDArray

from training.corpus.phones import INDEX, PHONES, SILENCE
from training.corpus.utterance import Utterance
from training.frames import FIRST_FRAME, HOP

_SILENCE = INDEX[SILENCE]


def phones_at(moments: NDArray[np.int64], utterance: Utterance) -> NDArray[np.int64]:
    """moments: samples from the start of the utterance -> indices in PHONES."""
    return _places(moments, utterance)[1]


def features(moments: NDArray[np.int64], utterance: Utterance) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """-> phones [F], and of each frame [F, 4 + 2 * phones]: the share of its phone that has passed, the frames that
    have and those to come, the frames of the phone; which phone was before, and which comes.
    """
    index, phones, starts, labels = _places(moments, utterance)
    begin, end = starts[index], starts[index + 1]
    length = np.maximum(end - begin, 1)
    places = np.stack([(moments - begin) / length, (moments - begin) / HOP, (end - moments) / HOP, length / HOP], 1)
    around = np.concatenate([[_SILENCE], labels, [_SILENCE]])
    others = [np.eye(len(PHONES), dtype=np.float32)[around[index + shift]] for shift in (0, 2)]
    return phones, np.concatenate([places.astype(np.float32), *others], 1)


def moments_of(frames: int, first: int = 0) -> NDArray[np.int64]:
    """The middles of so many frames, in samples."""
    return FIRST_FRAME // 2 + HOP * np.arange(first, first + frames)


def _places(
    moments: NDArray[np.int64], utterance: Utterance
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """-> which of the utterance's phones [F], that phone [F], where each begins [n + 1], and what each is [n]. Before
    the first there is silence.
    """
    starts = np.concatenate([[0], utterance.phones[:, 1], [utterance.samples + HOP]]).astype(np.int64)
    labels = np.concatenate([[_SILENCE], utterance.phones[:, 0]]).astype(np.int64)
    index = np.clip(np.searchsorted(starts, moments, side="right") - 1, 0, len(labels) - 1)
    return index, labels[index], starts, labels
