"""What Kokoro's symbols say: phones and when they begin.

Stress, length marks, spaces and punctuation are symbols with durations of their own. A mark of stress belongs to the
phone behind it, one of length to the phone before. A space is a breath where nothing is heard for long enough, else
its time goes to its neighbours; punctuation is a pause.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.corpus.kokoro import UNIT, Reading

PAUSE, BREATH = "_", "-"
CLASSES = (
    (PAUSE, BREATH),
    tuple("iɪeɛæaAIYᵻ"),
    tuple("uʊɔɑɒOQWo"),
    tuple("əɐʌɜᵊ"),
    tuple("mnŋ"),
    tuple("lɹwj"),
    tuple("fθsʃhʧ"),
    tuple("vðzʒʤ"),
    tuple("ptkTʔ"),
    tuple("bdɡɾ"),
)
"""Broad classes, by sound."""
PHONES = tuple(phone for members in CLASSES for phone in members)
INDEX = {phone: index for index, phone in enumerate(PHONES)}
CLASS_OF = np.array([index for index, members in enumerate(CLASSES) for _ in members])
SILENCES = (INDEX[PAUSE], INDEX[BREATH])

_STRESS = {"ˈ": 2, "ˌ": 1}
_LENGTH = "ːʰʲ"
_BREATH_UNITS, _QUIET = 2, 0.05
"""What makes a space a breath: at least so long, and at most so loud beside the loudest unit."""
_STEP, _LEAST, _SPAN, _BANDS = 120, 4, 4, 24
"""How boundaries are refined: steps of 5 ms, so many a phone at least, by the change between the spans before and
behind, in steps."""


@dataclass
class _Phone:
    """first, last: where its beginning may be, in units."""

    index: int
    stress: int
    first: float
    last: float


def phones_of(reading: Reading) -> NDArray[np.int64]:
    """[n, 3]: index in PHONES, first sample of the reading, stress (0, 1 secondary, 2 primary). The first begins at 0.
    Raises KeyError for a symbol that is no English phone.
    """
    phones = list(_merged(reading))
    changes = _changes(reading.samples)
    rows = [(phones[0].index, 0, phones[0].stress)]
    for phone in phones[1:]:
        first = max(round(phone.first * UNIT / _STEP), rows[-1][1] // _STEP + _LEAST)
        last = max(round(phone.last * UNIT / _STEP), first)
        rows.append((phone.index, _STEP * (first + int(changes[first : last + 1].argmax())), phone.stress))
    return np.array(rows, np.int64)


def _merged(reading: Reading) -> Iterator[_Phone]:
    """Silences that touch are one, and a pause if either is."""
    levels, ends = _levels(reading.samples), np.cumsum(reading.durations)
    open_: _Phone | None = None
    stress, marked, slack = 0, 0.0, 0.0
    # Units before this phone: `marked` are its own, as those of its stress; `slack`, of a space, may be.
    for symbol, units, end in zip(reading.symbols, reading.durations, ends, strict=True):
        begin = int(end - units)
        if symbol in _LENGTH:
            continue
        if symbol in _STRESS:
            stress = _STRESS[symbol]
            marked += float(units)
            continue
        if symbol == " " and not _is_breath(levels[begin:end]):
            slack = float(units)
            continue
        silence = BREATH if symbol == " " else PAUSE if symbol not in INDEX else None
        index = INDEX[silence or symbol]
        if open_ is not None and silence and open_.index in SILENCES:
            open_.index = min(open_.index, index)
            continue
        if open_ is not None:
            yield open_
        begun = begin - marked
        open_ = _Phone(index, stress, begun - slack - 0.5, begun + 0.5)
        stress, marked, slack = 0, 0.0, 0.0
    if open_ is not None:
        yield open_


def _is_breath(levels: NDArray[np.float32]) -> bool:
    return len(levels) >= _BREATH_UNITS and bool(levels.max() < _QUIET)


def _levels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each unit, beside the loudest."""
    levels = np.sqrt((samples.reshape(-1, UNIT) ** 2).mean(1))
    relative: NDArray[np.float32] = levels / max(float(levels.max()), 1e-6)
    return relative


def _changes(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each step, how much the sound behind it differs from that before, in log bands."""
    width = 2 * _STEP
    pieces = np.lib.stride_tricks.sliding_window_view(np.pad(samples, width // 2), width)[::_STEP]
    power = np.abs(np.fft.rfft(pieces * np.hanning(width), 512)) ** 2
    edges = np.unique(np.geomspace(2, power.shape[1], _BANDS).astype(int))
    bands = np.log(np.add.reduceat(power[:, : edges[-1]], edges[:-1], 1) + 1e-4)
    sums = np.cumsum(np.pad(bands, ((_SPAN + 1, _SPAN), (0, 0)), mode="edge"), 0)
    before, behind = sums[_SPAN:-_SPAN] - sums[: -2 * _SPAN], sums[2 * _SPAN :] - sums[_SPAN:-_SPAN]
    changes: NDArray[np.float32] = np.linalg.norm(behind - before, axis=1).astype(np.float32)
    return changes
