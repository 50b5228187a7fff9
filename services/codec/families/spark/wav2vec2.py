"""Wav2Vec2 features: the mean of three hidden states, for clips of any lengths in one batch.

Upstream takes the state of layer 16 before the final layer norm, although transformers hands out the normalised one
where that layer is the last.

Padding never reaches a clip: its frames come from its own samples, the input of the position convolution is zero beyond
its end, and the attention is masked. The one layer that padding would reach is the group norm over time of the other
kind of convolutions (`feat_extract_norm` "group"), so these convolutions run clip by clip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import rnn

from services.codec.families.spark.layers.frames import Frames
from services.codec.families.spark.layers.wav2vec2 import Wav2Vec2
from services.codec.families.spark.wav2vec2_config import Wav2Vec2Config, read_config, read_preprocessor
from services.codec.families.spark.weights import CheckpointError, Weights

# Spark-TTS sparktts/models/audio_tokenizer.py: (hidden_states[11] + hidden_states[14] + hidden_states[16]) / 3.
TAPS = (11, 14, 16)

# Of old checkpoints, which are a pytorch_model.bin with pre-training heads beside the model.
_PREFIX = "wav2vec2"
_PARTS = ("feature_extractor.", "feature_projection.", "encoder.pos_conv_embed.", "encoder.layer_norm.")


class Wav2Vec2Features(nn.Module):
    """Clips [n] at the model's rate -> frames [B, features, F]; F is what the convolutions make of n, unpadded."""

    def __init__(self, config: Wav2Vec2Config, model: Wav2Vec2, *, normalise: bool) -> None:
        super().__init__()
        self.model = model
        self.width = config.hidden_size
        self._normalise = normalise
        self._geometry = list(zip(config.conv_kernel, config.conv_stride, strict=True))
        self._padded = config.feat_extract_norm == "layer"

    @classmethod
    def load(cls, directory: Path, sample_rate: int) -> Wav2Vec2Features:
        """Leaves layers behind the last tap unread. Raises CheckpointError, also for another sample rate."""
        preprocessor = read_preprocessor(directory)
        if preprocessor.sampling_rate != sample_rate:
            raise CheckpointError(
                f"{directory}: sampling_rate {preprocessor.sampling_rate}, expected {sample_rate} as in config.yaml"
            )
        layers = max(TAPS)
        config = read_config(directory, layers)
        parts = (*_PARTS, *(f"encoder.layers.{index}." for index in range(layers)))
        weights = Weights.read(directory, (*parts, *(f"{_PREFIX}.{part}" for part in parts)))
        prefix = _PREFIX if f"{_PREFIX}.feature_projection.projection.weight" in weights else ""
        model = weights.load(partial(Wav2Vec2, config, layers), prefix)
        return cls(config, model, normalise=preprocessor.do_normalize)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return math.prod(stride for _, stride in self._geometry)

    @property
    def samples_needed(self) -> int:
        """Samples that the first frame needs."""
        samples = 1
        for kernel, stride in reversed(self._geometry):
            samples = (samples - 1) * stride + kernel
        return samples

    def frame_count(self, samples: int) -> int:
        for kernel, stride in self._geometry:
            samples = (samples - kernel) // stride + 1
        return samples

    def forward(self, clips: Sequence[NDArray[np.float64]]) -> Frames:
        lengths = [self.frame_count(len(clip)) for clip in clips]
        hidden: Tensor = self.model.feature_projection(self._convolved(clips))
        ends = torch.tensor(lengths, device=hidden.device)
        valid = torch.arange(hidden.shape[1], device=hidden.device) < ends[:, None]
        first, second, third = self.model.encoder(hidden, valid, TAPS)
        return Frames.whole(((first + second + third) / 3).transpose(1, 2), lengths)

    def _convolved(self, clips: Sequence[NDArray[np.float64]]) -> Tensor:
        """[B, F, C]; zero or undefined beyond each clip's own frames."""
        waveforms = [self._waveform(clip) for clip in clips]
        if self._padded:
            heard: Tensor = self.model.feature_extractor(rnn.pad_sequence(waveforms, batch_first=True))
            return heard.transpose(1, 2)
        alone = [self.model.feature_extractor(waveform[None])[0].T for waveform in waveforms]
        return rnn.pad_sequence(alone, batch_first=True)

    def _waveform(self, clip: NDArray[np.float64]) -> Tensor:
        """As Wav2Vec2FeatureExtractor has it, in numpy and float32: other roundings would move the features."""
        samples = clip.astype(np.float32)
        if self._normalise:
            samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
        return torch.from_numpy(samples).to(next(self.model.parameters()).device)
