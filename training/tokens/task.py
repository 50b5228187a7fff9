"""One shard's worth of global tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.codec.families.spark import speaker
from services.codec.families.spark.config import SparkConfig
from services.codec.families.spark.speaker import SpeakerEncoder
from services.codec.families.spark.weights import Weights
from training.corpus.corpus import Corpus
from training.device import Compute
from training.export import bicodec
from training.tokens import store

_BATCH_ON_GPU, _BATCH_ON_CPU = 100, 8


@dataclass(frozen=True)
class Task:
    """voice: the exported codec; speech: a part of the corpus; folder: where its tokens go."""

    voice: Path
    device: str
    speech: Path
    folder: Path
    shard: int

    def run(self) -> int:
        """Returns the number of utterances."""
        corpus, hearer = _corpus(self.speech), _hearer(self.voice, self.device)
        indices = [index for index, each in enumerate(corpus.utterances) if each.shard == self.shard]
        size = _BATCH_ON_GPU if hearer.compute.on_gpu else _BATCH_ON_CPU
        groups = [indices[start : start + size] for start in range(0, len(indices), size)]
        rows = [hearer.globals_([corpus.samples(index).numpy() for index in group]) for group in groups]
        store.write(self.folder, self.shard, np.concatenate(rows))
        return len(indices)


class Hearer:
    """The exported speaker encoder. Clips are at the volume that the corpus has."""

    def __init__(self, voice: Path, compute: Compute) -> None:
        config = SparkConfig.read(voice)
        weights = Weights.read(voice / bicodec.FOLDER, [f"{part}." for part in speaker.PARTS])
        self.compute, self._length = compute, config.audio.reference_samples
        self._speaker = SpeakerEncoder(config.codec, weights).to(compute.device)

    @torch.inference_mode()
    def globals_(self, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.uint16]:
        """[B, N]: of the first seconds of each clip, a short one repeated."""
        heard = np.stack([np.resize(clip, self._length) for clip in clips])
        with self.compute.autocast():
            tokens: Tensor = self._speaker(torch.from_numpy(heard).to(self.compute.device))
        return tokens.cpu().numpy().astype(np.uint16)


@cache
def _corpus(folder: Path) -> Corpus:
    return Corpus(folder, torch.device("cpu"))


@cache
def _hearer(voice: Path, device: str) -> Hearer:
    return Hearer(voice, Compute.choose(device))
