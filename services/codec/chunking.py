"""Where utterances are cut into chunks of audio: by their frames alone, never by when they come.

At a short look-ahead other cuts give other audio, because each step guesses the frames that it lacks. So a stream that
is begun again is cut as it was before.
"""

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

from services.contract.detokenization import Priming


@dataclass(frozen=True)
class Chunking:
    """The first chunk of audio that is worth a step, and the most that one is held back for; what a step may take."""

    first_frames: int
    max_frames: int
    max_batch: int
    max_step_frames: int

    @property
    def needed_at_first(self) -> int:
        """Frames beside the look-ahead: one more than the chunk has, see `Utterance.mark`."""
        return self.first_frames + 1

    def after(self, frames: int) -> int:
        """How many frames are waited for behind a chunk of `frames`."""
        return min(max(3 * frames // 2, self.first_frames), self.max_frames)


class Cuts:
    """Of one utterance: how many frames its next step takes, `wanted`. With `priming` first those that the lost replica
    had, when it sent its chunks, then those that it would have had.
    """

    def __init__(self, chunking: Chunking, look_ahead: int, priming: Priming | None = None) -> None:
        self._chunking = chunking
        self._replayed = deque(_replayed(priming) if priming else [])
        self._latest = priming.chunk_frames[-1] if priming and priming.chunk_frames else None
        self.wanted = look_ahead + self._next()

    @property
    def replaying(self) -> bool:
        """Whether the next step makes what was sent before."""
        return bool(self._replayed)

    def advance(self, frames: int) -> None:
        """To be called after a step that made so many frames audible."""
        if self._replayed:
            self._replayed.popleft()
        else:
            self._latest = frames
        self.wanted = self._next()

    def _next(self) -> int:
        if self._replayed:
            return self._replayed[0]
        return self._chunking.first_frames if self._latest is None else self._chunking.after(self._latest)


def _replayed(priming: Priming) -> list[int]:
    """Sizes of the chunks that are made again. Of the first there may be less than there was: what it lacks reaches no
    audio that is sent.
    """
    return [end - start for start, end in pairwise([priming.frames.first, *priming.chunk_ends])]
