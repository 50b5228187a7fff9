"""What was heard of one source in one voice, as figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import jiwer
import numpy as np
from rich.table import Table

from bench.speech.ears import SAMPLE_RATE, Samples
from bench.speech.listeners import Heard
from bench.speech.sentences import spoken

TEACHER = "espeak-ng"
CODEC = "codec reconstruction"
SYSTEM = "text to speech"
HEADINGS = ("voice", "source", "picked right", "phone errors", "WER", "duration ratio")
FRAME = SAMPLE_RATE // 100
QUIET = 0.05
"""-26 dB: codecs make faint noise of silence."""


@dataclass(frozen=True)
class PhoneErrors:
    """Insertions, deletions and substitutions, and how many phones should have been said."""

    wrong: int
    said: int


@dataclass(frozen=True)
class Utterance:
    """`seconds` from the first sound to the last."""

    voice: str
    source: str
    text: str
    seconds: float
    phones: PhoneErrors
    heard: Heard

    @property
    def right(self) -> bool:
        return self.heard.picked == spoken(self.text)


@dataclass(frozen=True)
class Figures:
    """`picked_right` is the share of the closed set; `duration_ratio` is to the teacher, all sentences together."""

    voice: str
    source: str
    sentences: int
    picked_right: float
    phone_error_rate: float
    word_error_rate: float
    duration_ratio: float

    @property
    def cells(self) -> tuple[str, ...]:
        numbers = (self.picked_right, self.phone_error_rate, self.word_error_rate, self.duration_ratio)
        return (self.voice, self.source, *(f"{number:.3f}" for number in numbers))


def figures(utterances: Sequence[Utterance]) -> list[Figures]:
    """One row for each source of each voice, in the order in which they came; every voice has its teacher's."""
    groups: dict[tuple[str, str], list[Utterance]] = {}
    for utterance in utterances:
        groups.setdefault((utterance.voice, utterance.source), []).append(utterance)
    seconds = {key: sum(utterance.seconds for utterance in group) for key, group in groups.items()}
    return [
        Figures(
            voice,
            source,
            len(group),
            sum(utterance.right for utterance in group) / len(group),
            sum(utterance.phones.wrong for utterance in group) / sum(utterance.phones.said for utterance in group),
            jiwer.wer([spoken(each.text) for each in group], [each.heard.dictated for each in group]),
            seconds[voice, source] / seconds[voice, TEACHER],
        )
        for (voice, source), group in groups.items()
    ]


def sounding_seconds(samples: Samples) -> float:
    """samples: [T] at SAMPLE_RATE -> seconds without the silence at both ends; silence is 26 dB below the loudest."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    loudness = np.sqrt(np.mean(np.square(frames), axis=1))
    loud = np.flatnonzero(loudness > QUIET * loudness.max(initial=0.0))
    return float(loud[-1] - loud[0] + 1) * FRAME / SAMPLE_RATE if len(loud) else 0.0


def table(rows: Sequence[Figures], title: str) -> Table:
    made = Table(title=title)
    for heading in HEADINGS:
        made.add_column(heading, justify="left" if heading in HEADINGS[:2] else "right", no_wrap=True)
    for row in rows:
        made.add_row(*row.cells)
    return made


def markdown(rows: Sequence[Figures]) -> str:
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(row.cells for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
