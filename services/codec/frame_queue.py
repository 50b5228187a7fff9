"""Frames of one stream that wait for their step."""

from typing import Any

from numpy.typing import NDArray

from services.contract.frames import Frames, joined


class FrameQueue:
    """`start`: frames of the stream's format, possibly none; those that follow have no gap before them."""

    def __init__(self, start: Frames) -> None:
        self._parts = [start]
        self._end = start.end
        self._taken = start.first

    def __len__(self) -> int:
        return self._end - self._taken

    def put(self, frames: Frames) -> None:
        assert frames.first == self._end
        self._parts.append(frames)
        self._end = frames.end

    def take(self, count: int) -> NDArray[Any]:
        """The next [at most `count`, width]."""
        waiting = joined(self._parts)
        values = waiting.values[:count]
        self._taken += len(values)
        self._parts = [waiting.since(self._taken)]
        return values
