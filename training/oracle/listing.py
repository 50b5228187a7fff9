"""Every code in its turn: grown, foreseen, rebuilt and heard."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.oracle import foresight
from training.oracle.codes import KINDS
from training.oracle.ears import Heard
from training.oracle.figures import Row
from training.oracle.foresight import Foreseen
from training.oracle.frames import Heap
from training.oracle.hearing import Hearings
from training.oracle.speech import Spoken
from training.oracle.vocoder import ENVELOPE, Frames, Samples, Vocoder, in_steps

TEMPERATURE, MOST = 0.8, 50
SHAPE = slice(1, ENVELOPE)
"""What is told of the envelope: without loudness, whose variance would hide all else."""


@dataclass(frozen=True)
class Plan:
    """Which code is asked about: `kind` of KINDS, so many; whether voices are normalised; whether it is also heard as
    a model draws it from text."""

    kind: str
    count: int
    normalised: bool = True
    loudness: float = 1.0
    drawn: bool = False

    @property
    def name(self) -> str:
        voices = "" if self.normalised else ", voices as they are"
        return f"{self.kind}{voices}" + (f", loudness at {self.loudness}" if self.loudness != 1 else "")


PLANS = (
    *(Plan("clusters", 1000, loudness=0.3, drawn=True), Plan("clusters within classes", 1000, loudness=0.3)),
    *(Plan("clusters", 700, drawn=True), Plan("clusters within classes", 1000, drawn=True)),
    *(Plan("context trees", 1000), Plan("clusters within phones", 1000, drawn=True), Plan("clusters", 1000)),
    *(Plan("clusters", 1500), Plan("clusters", 500), Plan("clusters", 1000, normalised=False)),
    *(Plan("clusters within classes", 1500), Plan("clusters within classes", 700)),
    *(Plan("clusters within phones", 1500), Plan("context trees", 1500, drawn=True)),
)


@dataclass(frozen=True)
class Oracle:
    """What it asks, of which speech. The pitch is known throughout, in the steps that planes of eight phases hold."""

    train: Sequence[Spoken]
    tests: Sequence[Spoken]
    vocoder: Vocoder
    hearings: Hearings
    folder: Path
    seed: int

    def bounds(self) -> Iterator[Row]:
        """The teacher, and its frames without a code, with its own pitch and with that of the codes."""
        tests = list(self.tests)
        yield Row("the teacher", None, list(self.hearings.all("teacher", tests, lambda index: tests[index].samples)))
        plain = self.hearings.all("frames, own pitch", tests, lambda index: self.vocoder.sound(tests[index].frames))
        yield Row("its frames", None, list(plain))
        exact = self.hearings.all("frames", tests, lambda index: self._sound(index, tests[index].frames.envelope))
        yield Row("its frames, pitch in steps", None, list(exact))

    def rows(self, plan: Plan) -> Iterator[Row]:
        heap, test = (
            Heap.of(each, normalised=plan.normalised, loudness=plan.loudness) for each in (self.train, self.tests)
        )
        codes = KINDS[plan.kind](heap, plan.count, self.seed)
        seen, unseen, count = codes.of(heap), codes.of(test), len(codes.means)
        # The means of the voices, too, are of these tests.
        label = f"{plan.name} {plan.count} of {len(self.train)}, {len(self.tests)} tests, seed {self.seed}"
        file = self.folder / f"{label}.json"
        model = None
        if file.exists():
            foreseen = Foreseen(**json.loads(file.read_text("utf-8")))
        else:
            model = foresight.train(heap, seen, count, self.seed)
            foreseen = foresight.judge(model, test, unseen, seen)
            file.write_text(json.dumps(asdict(foreseen)), encoding="utf-8")
        errors = ((test.sounds - codes.means[unseen]) ** 2).mean(0)
        told = 1 - float(errors[SHAPE].sum() / test.sounds.var(0)[SHAPE].sum())
        row = Row(plan.name, count, (), told, foreseen)
        yield replace(row, heard=self._heard(label, test, codes.means[unseen]))
        if plan.drawn:
            model = model or foresight.train(heap, seen, count, self.seed)
            chosen = foresight.drawn(model, test, TEMPERATURE, MOST, self.seed)
            heard = self._heard(f"{label}, drawn", test, codes.means[chosen])
            yield Row(f"{plan.name}, drawn from text", count, heard)

    def _heard(self, label: str, test: Heap, sounds: NDArray[np.float32]) -> Sequence[Heard]:
        envelopes = test.envelopes(sounds)
        return list(self.hearings.all(label, list(self.tests), lambda index: self._sound(index, envelopes[index])))

    def _sound(self, index: int, envelope: NDArray[np.float32]) -> Samples:
        return self.vocoder.sound(Frames(envelope, in_steps(self.tests[index].frames.f0)))
