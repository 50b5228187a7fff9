"""BiCodec's tokenizer: recordings to the speaker's global tokens and one semantic token per frame.

Tokens are decisions: everything is computed in float32 (TF32 off), and a clip gives in a batch the tokens that it gives
alone; `wav2vec2` and `layers.frames` keep padding out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.backends import cudnn

from services.codec.audio.reference import reference_clip
from services.codec.audio.volume import normalise_volume
from services.codec.families.spark import encoder, quantizer, speaker
from services.codec.families.spark.config import SparkConfig
from services.codec.families.spark.encoder import Encoder
from services.codec.families.spark.quantizer import CodebookSearch
from services.codec.families.spark.speaker import SpeakerEncoder
from services.codec.families.spark.wav2vec2 import Wav2Vec2Features
from services.codec.families.spark.weights import CheckpointError, Weights
from services.contract.families.spark import SparkSpeaker
from services.contract.frames import CodeFormat, FrameFormat, Frames
from services.contract.speaker import Speaker
from services.runtime.errors import InvalidRequest

WAV2VEC2 = "wav2vec2-large-xlsr-53"


@dataclass(frozen=True)
class SparkTokens:
    """A recording as tokens; `semantic_tokens` has one per frame, and both are codebook indices."""

    global_tokens: tuple[int, ...]
    semantic_tokens: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.global_tokens or not self.semantic_tokens:
            raise ValueError("a recording has at least one global and one semantic token")

    @property
    def speaker(self) -> Speaker:
        return SparkSpeaker(self.global_tokens).speaker()

    @property
    def frames(self) -> Frames:
        return Frames.of_codes(self.semantic_tokens)


class SparkTokenizer:
    """Made by `load`. Not thread-safe: one `tokenize` at a time."""

    engine = "torch"

    def __init__(self, config: SparkConfig, features: Wav2Vec2Features, weights: Weights) -> None:
        codec = config.codec
        self.config = config
        self.features = features
        self.encoder = weights.load(partial(Encoder, codec.encoder), encoder.PREFIX)
        sizes = (codec.quantizer.input_dim, codec.quantizer.codebook_size, codec.quantizer.codebook_dim)
        self.search = weights.load(partial(CodebookSearch, *sizes), quantizer.PREFIX)
        self.speaker = SpeakerEncoder(codec, weights)
        self.device = torch.device("cpu")

    @classmethod
    def load(cls, model_dir: Path, device: str = "cpu") -> SparkTokenizer:
        """Read the tokenizer's half of a model directory; raises CheckpointError."""
        config = SparkConfig.read(model_dir)
        features = Wav2Vec2Features.load(model_dir / WAV2VEC2, config.audio.sample_rate)
        expected = config.codec.encoder.input_channels
        if features.width != expected:
            raise CheckpointError(
                f"{model_dir / WAV2VEC2}: hidden_size {features.width}, "
                f"expected {expected}, encoder.input_channels of BiCodec/config.yaml"
            )
        if features.hop != config.audio.latent_hop_length:
            raise CheckpointError(
                f"{model_dir / WAV2VEC2}: conv_stride multiplies to {features.hop}, "
                f"expected {config.audio.latent_hop_length}, latent_hop_length of config.yaml"
            )
        prefixes = [f"{name}." for name in (encoder.PREFIX, *quantizer.PARTS, *speaker.PARTS)]
        tokenizer = cls(config, features, Weights.read(model_dir / "BiCodec", prefixes))
        return tokenizer.to(torch.device(device))

    def to(self, device: torch.device) -> Self:
        """Moves everything, in place."""
        for module in (self.features, self.encoder, self.search, self.speaker):
            module.to(device)
        self.device = device
        return self

    @property
    def sample_rate(self) -> int:
        return self.config.audio.sample_rate

    @property
    def frame_rate(self) -> float:
        return self.sample_rate / self.config.audio.latent_hop_length

    @property
    def frame_format(self) -> FrameFormat:
        return FrameFormat(self.frame_rate, CodeFormat(1, self.codebook_size))

    @property
    def codebook_size(self) -> int:
        return self.config.codec.quantizer.codebook_size

    @property
    def global_token_count(self) -> int:
        return self.config.codec.speaker_encoder.token_num

    @property
    def global_codebook_size(self) -> int:
        return self.config.codec.speaker_encoder.codebook_size

    @property
    def batch_limit(self) -> int:
        """How many clips are worth one `tokenize`.

        On a CPU one: at the published widths four 6 s clips took 8.0 CPU-seconds one by one, 8.8 together.
        """
        return 1 if self.device.type == "cpu" else 16

    def tokenize(self, clips: Sequence[NDArray[np.float64]]) -> list[SparkTokens]:
        """clips: [n] each, mono at `sample_rate`, finite, of any volume and any lengths.

        Raises InvalidRequest for a clip too short for a single frame.
        """
        if not clips:
            return []
        for clip in clips:
            if len(clip) < self.features.samples_needed:
                raise InvalidRequest(f"the audio has fewer than {self.features.samples_needed} samples", field="audio")
        if self.config.audio.volume_normalize:
            clips = [normalise_volume(clip) for clip in clips]
        with torch.inference_mode(), cudnn.flags(enabled=True, allow_tf32=False):
            speakers = self.speaker(self.reference_clips(clips)).tolist()
            utterances = [row.tolist() for row in self._semantic(clips)]
        return [SparkTokens(tuple(speaker), tuple(said)) for speaker, said in zip(speakers, utterances, strict=True)]

    def reference_clips(self, clips: Sequence[NDArray[np.float64]]) -> Tensor:
        """The part of each clip that the speaker encoder reads: [B, n], n the same for all."""
        length = self.config.audio.reference_samples
        heard = np.stack([reference_clip(clip, length) for clip in clips]).astype(np.float32)
        return torch.from_numpy(heard).to(self.device)

    def _semantic(self, clips: Sequence[NDArray[np.float64]]) -> Sequence[Tensor]:
        """One [F] row per clip."""
        frames = self.encoder(self.features(clips))
        tokens: Tensor = self.search(torch.cat([row.T for row in frames.rows()]))
        return torch.split(tokens, frames.lengths)
