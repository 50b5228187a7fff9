"""Changes how fast speech runs and leaves its pitch alone.

libav's `atempo`: overlap-add at the best matching lag (WSOLA). Compared on synthetic speech at speeds 0.5 to 2 with the
permissively licensed stretchers that pip installs: audiotsm has twice its log-mel error; python-stretch (Signalsmith)
has the same and a recogniser understands its whole utterances better, but it starts afresh at every call and so cannot
stream.
"""

import math

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from services.gateway.audio import libav

_MIN_STAGE, _MAX_STAGE = 0.5, 2.0
_WINDOW_SECONDS = 0.047
_NOTHING = np.zeros(0, np.float32)


class Tempo:
    """Any chunking gives bit for bit the same samples, round(T / speed) of them; speed 1 passes the chunks through.

    The first sound needs 40 to 75 ms of input; up to 175 below speed 0.5 and above 2, where two filters run in a row.
    """

    def __init__(self, sample_rate: int, speed: float) -> None:
        """sample_rate in Hz; speed is a ratio: 2 halves the duration."""
        if not 0.25 <= speed <= 4.0:
            raise ValueError(f"speed must lie in [0.25, 4], not {speed}")
        self._speed = speed
        window = 2 ** int(math.log2(sample_rate * _WINDOW_SECONDS))
        self._block = window // 4
        self._filter = None if speed == 1.0 else _Atempo(window, speed)
        self._pending = _NOTHING
        self._received = self._emitted = 0
        self._flushed = False

    def stretch(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """[T] -> whatever is final. ValueError after `flush`."""
        if self._flushed:
            raise ValueError("tempo is flushed")
        if self._filter is None:
            return samples
        self._received += len(samples)
        return self._emit(self._run(self._filter, samples))

    def flush(self) -> NDArray[np.float32]:
        """The rest; empty when called again. Silence pushes it out: at its own end atempo would drop up to 0.1 s."""
        if self._filter is None or self._flushed:
            self._flushed = True
            return _NOTHING
        self._flushed = True
        rest: list[NDArray[np.float32]] = []
        silence = np.zeros(self._block, np.float32)
        while self._emitted < self._due:
            rest.append(self._emit(self._run(self._filter, silence)))
        return np.concatenate([_NOTHING, *rest])

    @property
    def _due(self) -> int:
        return round(self._received / self._speed)

    def _run(self, stage: "_Atempo", samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Whole blocks only: where atempo cuts depends a little on the sizes of the frames that it is given."""
        pending = np.concatenate([self._pending, samples])
        whole = len(pending) - len(pending) % self._block
        self._pending = pending[whole:]
        blocks = pending[:whole].reshape(-1, self._block)
        return np.concatenate([_NOTHING, *(stage.process(block) for block in blocks)])

    def _emit(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        emitted = samples[: self._due - self._emitted]
        self._emitted += len(emitted)
        return emitted


class _Atempo:
    """The filter graph: abuffer -> atempo (one or two) -> abuffersink."""

    def __init__(self, window: int, speed: float) -> None:
        # atempo's window is the power of two at or above rate / 24: 64 ms at 16 kHz, where 32 ms has a quarter less
        # log-mel error. It uses the rate for nothing else, so the one that yields `window` is declared.
        self._rate = 24 * window
        libav.single_threaded()
        self._graph = Graph()
        source = self._graph.add_abuffer(sample_rate=self._rate, format="flt", layout="mono")
        stages = [self._graph.add("atempo", f"{ratio:.9f}") for ratio in _stages(speed)]
        self._graph.link_nodes(source, *stages, self._graph.add("abuffersink")).configure()
        self._received = 0

    def process(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        frame = av.AudioFrame.from_ndarray(block[None], format="flt", layout="mono")
        frame.sample_rate = self._rate
        frame.pts = self._received
        self._received += len(block)
        self._graph.push(frame)
        return np.concatenate([_NOTHING, *self._pulled()])

    def _pulled(self) -> list[NDArray[np.float32]]:
        chunks: list[NDArray[np.float32]] = []
        while True:
            try:
                frame = self._graph.pull()
            except av.BlockingIOError:
                return chunks
            chunks.append(frame.to_ndarray().reshape(-1).astype(np.float32))


def _stages(speed: float) -> list[float]:
    """atempo ends at 0.5, and above 2 skips samples rather than blend them (FFmpeg's filter documentation)."""
    if _MIN_STAGE <= speed <= _MAX_STAGE:
        return [speed]
    return [math.sqrt(speed)] * 2
