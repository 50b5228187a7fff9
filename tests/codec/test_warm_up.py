"""What a detokenizer decodes before its first listener."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.codec.chunking import Chunking
from services.codec.warm_up import warm_up

from .arithmetic import ArithmeticDetokenizer, Counter


class Recorder(ArithmeticDetokenizer):
    def __init__(self) -> None:
        super().__init__()
        self.steps: list[int] = []

    def step(self, items: Sequence[tuple[Counter, NDArray[Any], bool]]) -> list[np.ndarray]:
        ((_, frames, _),) = items
        self.steps.append(len(frames))
        return super().step(items)


@pytest.mark.parametrize(("max_step_frames", "steps"), [(20, [4, 6, 8]), (7, [4, 6]), (1, [4])])
def test_chunks_of_each_size_that_a_step_takes_are_decoded(max_step_frames: int, steps: list[int]) -> None:
    recorder = Recorder()
    warm_up(recorder, Chunking(first_frames=2, max_frames=8, max_batch=4, max_step_frames=max_step_frames))
    assert recorder.steps == steps
