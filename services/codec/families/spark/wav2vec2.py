"""Wav2Vec2 features: the mean of three hidden states, for clips of any lengths in one batch.

The layers are transformers'; the walk through them is ours. It leaves out the final layer norm: upstream takes the
state of layer 16 before it, although transformers hands out the normalised one where that layer is the last.

Padding never reaches a clip: its frames come from its own samples, the input of the position convolution is zero beyond
its end, and the attention is masked. The one layer that would hear padding is the group norm over time of the other
kind of convolutions (`feat_extract_norm` "group"), so these convolutions run clip by clip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import rnn
from transformers import Wav2Vec2Model

from services.codec.families.spark.layers.frames import Frames
from services.codec.families.spark.wav2vec2_checkpoint import read_model, read_preprocessor
from services.codec.families.spark.weights import CheckpointError

# Spark-TTS sparktts/models/audio_tokenizer.py: (hidden_states[11] + hidden_states[14] + hidden_states[16]) / 3.
TAPS = (11, 14, 16)


class Wav2Vec2Features(nn.Module):
    """Clips [n] at the model's rate -> frames [B, features, F]; F is what the convolutions make of n, unpadded."""

    def __init__(self, model: Wav2Vec2Model, *, normalise: bool) -> None:
        super().__init__()
        self.model = model
        self._normalise = normalise
        self._geometry = list(zip(model.config.conv_kernel, model.config.conv_stride, strict=True))
        self._stable = bool(model.config.do_stable_layer_norm)
        self._padded = model.config.feat_extract_norm == "layer"

    @classmethod
    def load(cls, directory: Path, sample_rate: int) -> Wav2Vec2Features:
        """Raises CheckpointError, also when the checkpoint is for another sample rate."""
        preprocessor = read_preprocessor(directory)
        if preprocessor.sampling_rate != sample_rate:
            raise CheckpointError(
                f"{directory}: sampling_rate {preprocessor.sampling_rate}, expected {sample_rate} as in config.yaml"
            )
        return cls(read_model(directory, max(TAPS)), normalise=preprocessor.do_normalize)

    @property
    def width(self) -> int:
        return int(self.model.config.hidden_size)

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
        hidden: Tensor = self.model.feature_projection(self._convolved(clips))[0]
        ends = torch.tensor(lengths, device=hidden.device)
        valid = torch.arange(hidden.shape[1], device=hidden.device) < ends[:, None]
        return Frames.whole(self._transformed(hidden, valid).transpose(1, 2), lengths)

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

    def _transformed(self, hidden: Tensor, valid: Tensor) -> Tensor:
        """hidden [B, F, C], valid [B, F] -> the mean of the tapped states [B, F, C]."""
        encoder = self.model.encoder
        hidden = hidden.masked_fill(~valid[:, :, None], 0)
        hidden = hidden + encoder.pos_conv_embed(hidden)
        if not self._stable:
            hidden = encoder.layer_norm(hidden)
        mask = None if valid.all() else valid[:, None, None, :]
        tapped: list[Tensor] = []
        for index, layer in enumerate(encoder.layers, start=1):
            hidden = layer(hidden, attention_mask=mask)
            if index in TAPS:
                tapped.append(hidden)
        first, second, third = tapped
        return (first + second + third) / 3
