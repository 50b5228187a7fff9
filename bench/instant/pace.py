"""How the stages that compute nothing deal out what they send."""

from collections.abc import Iterator
from dataclasses import dataclass

from services.codec.chunking import Chunking


@dataclass(frozen=True)
class Pace:
    """In frames. `at_once`: what the first sound needs, its chunk and its look-ahead; then `rate` a second, as a real
    LLM draws for one of several streams. `chunk`: the first of audio, later ones grow as the detokenizer's do, up to
    `most`.
    """

    rate: float
    chunk: int = 10
    look_ahead: int = 16
    most: int = 25

    @property
    def at_once(self) -> int:
        return self.chunk + self.look_ahead

    def due(self, frame: int) -> float:
        """Seconds after the first when `frame` is drawn."""
        return max(0, frame + 1 - self.at_once) / self.rate

    def chunks(self) -> Iterator[int]:
        """Frames of each chunk of audio."""
        chunking = Chunking(self.chunk, self.most, max_batch=1, max_step_frames=self.most)
        size = self.chunk
        while True:
            yield size
            size = chunking.after(size)
