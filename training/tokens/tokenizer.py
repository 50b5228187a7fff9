"""The exported tokenizer's modules, put together as the codec service does, without what a service needs besides."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.backends import cudnn

from services.codec.families.spark import encoder, quantizer, speaker
from services.codec.families.spark.config import SparkConfig
from services.codec.families.spark.encoder import Encoder
from services.codec.families.spark.quantizer import CodebookSearch
from services.codec.families.spark.speaker import SpeakerEncoder
from services.codec.families.spark.wav2vec2 import Wav2Vec2Features
from services.codec.families.spark.weights import Weights
from training.device import Compute
from training.export import bicodec, hearing


class Tokenizer:
    """Codes in float32 as they are served, global tokens in the type of `compute`. Clips are at the volume that the
    corpus has.
    """

    def __init__(self, voice: Path, compute: Compute) -> None:
        self.config = SparkConfig.read(voice)
        codec, self.compute, device = self.config.codec, compute, compute.device
        parts = (encoder.PREFIX, *quantizer.PARTS, *speaker.PARTS)
        weights = Weights.read(voice / bicodec.FOLDER, [f"{part}." for part in parts])
        sizes = (codec.quantizer.input_dim, codec.quantizer.codebook_size, codec.quantizer.codebook_dim)
        self._features = Wav2Vec2Features.load(voice / hearing.FOLDER, self.config.audio.sample_rate).to(device)
        self._encoder = weights.load(partial(Encoder, codec.encoder), encoder.PREFIX).to(device)
        self._search = weights.load(partial(CodebookSearch, *sizes), quantizer.PREFIX).to(device)
        self._speaker = SpeakerEncoder(codec, weights).to(device)

    @torch.inference_mode()
    def codes(self, clips: Sequence[NDArray[np.float64]]) -> list[NDArray[np.uint16]]:
        """One row [F] a clip."""
        with cudnn.flags(enabled=True, allow_tf32=False):
            frames = self._encoder(self._features(clips))
            codes: Tensor = self._search(torch.cat([row.T for row in frames.rows()]))
        return [row.cpu().numpy().astype(np.uint16) for row in torch.split(codes, frames.lengths)]

    @torch.inference_mode()
    def globals_(self, clips: Sequence[NDArray[np.float64]]) -> NDArray[np.uint16]:
        """[B, N]: of the first seconds of each clip, a short one repeated."""
        length = self.config.audio.reference_samples
        heard = np.stack([np.resize(clip, length) for clip in clips]).astype(np.float32)
        with self.compute.autocast():
            tokens: Tensor = self._speaker(torch.from_numpy(heard).to(self.compute.device))
        return tokens.cpu().numpy().astype(np.uint16)
