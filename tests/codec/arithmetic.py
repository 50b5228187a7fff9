"""A codec as simple as arithmetic: no speaker is needed, and each code becomes two samples of its value."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.contract.frames import CodeFormat, FrameFormat
from services.contract.speaker import Speaker
from services.runtime.errors import InvalidRequest

HOP = 2
# A code at which the model breaks, and a speaker that it does not know.
BREAKS, UNKNOWN = 999, Speaker(b"nobody")


class Counter:
    """A stream: without look-ahead."""

    def __init__(self) -> None:
        self.last = False


class ArithmeticDetokenizer:
    engine, sample_rate, hop = "arithmetic", 100, HOP
    frame_format = FrameFormat(50.0, CodeFormat(2, 1000))
    left_field, right_field, usual_look_ahead = 4, 3, 2
    any_speaker = None
    makes_code = True

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.largest_step = 0
        self.sizes: list[int] = []
        self.served: list[int] = []

    def open(self, speaker: Speaker | None, look_ahead: int | None) -> Counter:
        if speaker == UNKNOWN:
            raise InvalidRequest("nobody knows this speaker", field="speaker")
        return Counter()

    def step(self, items: Sequence[tuple[Counter, NDArray[Any], bool]]) -> list[NDArray[np.float32]]:
        self.batches.append(len(items))
        self.largest_step = max(self.largest_step, sum(len(frames) for _, frames, _ in items))
        self.sizes += [len(frames) for _, frames, _ in items]
        self.served += [int(frames[0, 0]) // 100 for _, frames, _ in items if len(frames)]
        for stream, frames, last in items:
            assert frames.shape[1:] == (2,)
            assert not stream.last, "a step after the last one"
            stream.last = last
        if any((frames == BREAKS).any() for _, frames, _ in items):
            raise RuntimeError("out of memory")
        return [frames.astype(np.float32).ravel() for _, frames, _ in items]
