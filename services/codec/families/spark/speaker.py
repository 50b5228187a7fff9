"""The speaker's branch: the reference clip to global tokens."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from services.codec.families.spark.config import BiCodecConfig
from services.codec.families.spark.ecapa import Ecapa
from services.codec.families.spark.fsq import Fsq
from services.codec.families.spark.mel import MelSpectrogram
from services.codec.families.spark.perceiver import Perceiver
from services.codec.families.spark.weights import Weights

ECAPA = "speaker_encoder.speaker_encoder"
PERCEIVER = "speaker_encoder.perceiver_sampler"
FSQ = "speaker_encoder.quantizer"
PARTS = (ECAPA, PERCEIVER, FSQ)


class SpeakerEncoder(nn.Module):
    """[B, n] reference clips -> [B, global tokens] int64. All clips have one length, so none is padded."""

    def __init__(self, config: BiCodecConfig, weights: Weights) -> None:
        super().__init__()
        speaker = config.speaker_encoder
        self.mel = MelSpectrogram(config.mel_params)
        self.ecapa = weights.load(partial(Ecapa, weights, ECAPA), ECAPA)
        self.perceiver = weights.load(partial(Perceiver, weights, PERCEIVER), PERCEIVER)
        self.fsq = weights.load(partial(Fsq, speaker.latent_dim, speaker.fsq_levels), FSQ)

    def forward(self, clips: Tensor) -> Tensor:
        frames: Tensor = self.ecapa(self.mel(clips))
        latents = self.perceiver(frames.transpose(1, 2))
        tokens: Tensor = self.fsq(latents)
        return tokens
