"""An utterance under way: frames that wait, where the next cut is, and audio that waits for its listener."""

import asyncio
from typing import Any, Generic

from numpy.typing import NDArray

from services.codec.chunking import Cuts
from services.codec.codec import Stream
from services.codec.frame_queue import FrameQueue
from services.contract.detokenization import Chunk
from services.contract.frames import Frames
from services.runtime.audio import Audio


class Utterance(Generic[Stream]):
    """`start`: its first frames, possibly none; `audible_from`: the frame whose audio is sent first. `due`: when its
    listener runs out. Times are the running loop's.
    """

    def __init__(self, stream: Stream, cuts: Cuts, start: Frames, audible_from: int) -> None:
        self.stream, self.cuts, self.pending = stream, cuts, FrameQueue(start)
        self.audio: asyncio.Queue[Chunk | BaseException | None] = asyncio.Queue()
        self.last = False
        self.due = 0.0
        self.ready_since: float | None = None
        self._in_step = False
        self._made, self._audible_from = start.first, audible_from

    @property
    def ready(self) -> bool:
        return self.ready_since is not None

    @property
    def next_frames(self) -> int:
        return min(self.cuts.wanted, len(self.pending))

    def mark(self, now: float) -> None:
        """To be called whenever frames or their end have come, and after a step, which decides how many are wanted."""
        # A frame more than it takes: whether it is the last step must not depend on when the end of the frames comes.
        enough = self.last or len(self.pending) > self.cuts.wanted
        if enough and not self._in_step and self.ready_since is None:
            self.ready_since = now

    def take(self) -> tuple[Stream, NDArray[Any], bool]:
        """Never more than was wanted, so that the cuts, and with them the audio, follow from the frames alone."""
        self.ready_since, self._in_step = None, True
        taken = self.pending.take(self.cuts.wanted)
        return self.stream, taken, self.last and not self.pending

    def deliver(self, samples: Audio, hop: int) -> int:
        """What a step made. How many frames of it are sent: none of those that were sent before."""
        self._in_step = False
        first, frames = self._made, len(samples.samples) // hop
        self._made += frames
        if frames:
            self.cuts.advance(frames)
        skipped = max(0, self._audible_from - first)
        if frames <= skipped:
            return 0
        audio = Audio(samples.samples[skipped * hop :], samples.sample_rate)
        self.audio.put_nowait(Chunk(audio, first + skipped, frames - skipped))
        return frames - skipped
