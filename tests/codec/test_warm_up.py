"""What a detokenizer decodes before its first listener."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.codec.chunking import Chunking
from services.codec.warm_up import warm_up

from .arithmetic import ArithmeticDetokenizer, Counter


class Recorder(ArithmeticDetokenizer):
    def __init__(self) -> None:
        super().__init__()
        self.steps: dict[int, list[int]] = defaultdict(list)

    def step(self, items: Sequence[tuple[Counter, NDArray[Any], bool]]) -> list[np.ndarray]:
        (size,) = {len(frames) for _, frames, _ in items}
        self.steps[len(items)].append(size)
        return super().step(items)


def test_every_chunk_that_fits_into_a_step_is_decoded_for_so_many_listeners_at_once() -> None:
    recorder = Recorder()
    warm_up(recorder, Chunking(first_frames=2, max_frames=8, max_batch=4, max_step_frames=20))
    assert recorder.steps == {1: [4, 6, 8], 2: [4, 6, 8], 3: [4, 6], 4: [4]}


def test_a_detokenizer_that_makes_no_code_decodes_for_one_listener() -> None:
    recorder = Recorder()
    recorder.makes_code = False
    warm_up(recorder, Chunking(first_frames=2, max_frames=8, max_batch=4, max_step_frames=20))
    assert recorder.steps == {1: [4, 6, 8]}
