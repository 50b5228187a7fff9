"""How large the codec is. What config files of the published layout say of it is made here."""

import math
from dataclasses import dataclass
from typing import Any

from transformers import Wav2Vec2Config

from services.codec.families.spark.config import BiCodecConfig
from training.codec.phases import PLANES, WIDTH
from training.corpus.utterance import SAMPLE_RATE
from training.frames import HOP

RATES, KERNELS = (8, 5, 4, 2), (16, 11, 8, 4)
CONV_KERNELS, CONV_STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
# The reference averages three hidden states up to the 16th; a 17th layer keeps that one from being normalised.
LAYERS = 17


@dataclass(frozen=True)
class CodecSizes:
    """channels: of wav2vec2's convolutions, few where there are many samples; hidden, heads, inner: of its
    transformer; width, width_inner: of the Vocos backbones of encoder and prenet, with so many layers; latent: between
    them all; contents: of codes, with rows of content_width; generator: channels of the wave generator; ecapa: channels
    of the speaker encoder (512 in the reference's code, whatever the config says), joined to ecapa_joined;
    speaker_latent, speaker_tokens, speaker_levels: of the global tokens.
    """

    channels: tuple[int, ...] = (32, 32, 48, 64, 64, 96, 96)
    hidden: int = 64
    heads: int = 2
    inner: int = 192
    latent: int = 192
    width: int = 160
    width_inner: int = 384
    encoder_layers: int = 4
    prenet_layers: int = 6
    contents: int = 1024
    content_width: int = 13
    generator: int = 128
    ecapa: int = 512
    ecapa_joined: int = 1536
    ecapa_bottleneck: int = 128
    speaker_latent: int = 64
    speaker_tokens: int = 8
    speaker_levels: tuple[int, ...] = (4, 4, 4, 4)
    reference_seconds: float = 3.0
    mels: int = 128

    @property
    def codes(self) -> int:
        """Each content in each plane."""
        return PLANES * self.contents

    @property
    def code_width(self) -> int:
        return self.content_width + WIDTH

    @property
    def speaker_codes(self) -> int:
        """How many values a global token has."""
        return math.prod(self.speaker_levels)

    @property
    def reference_samples(self) -> int:
        return int(SAMPLE_RATE * self.reference_seconds) // HOP * HOP

    def wav2vec2(self) -> Wav2Vec2Config:
        return Wav2Vec2Config(
            hidden_size=self.hidden,
            num_hidden_layers=LAYERS,
            num_attention_heads=self.heads,
            intermediate_size=self.inner,
            conv_dim=self.channels,
            conv_kernel=CONV_KERNELS,
            conv_stride=CONV_STRIDES,
            conv_bias=True,
            feat_extract_norm="layer",
            do_stable_layer_norm=True,
            num_conv_pos_embeddings=32,
            num_conv_pos_embedding_groups=self.heads,
            hidden_dropout=0.0,
            attention_dropout=0.0,
            activation_dropout=0.0,
            feat_proj_dropout=0.0,
            layerdrop=0.0,
            mask_time_prob=0.0,
        )

    def bicodec(self) -> dict[str, Any]:
        """BiCodec/config.yaml, key `audio_tokenizer`."""
        backbone = {"vocos_dim": self.width, "vocos_intermediate_dim": self.width_inner, "sample_ratios": [1, 1]}
        joints = {"input_channels": self.latent, "out_channels": self.latent}
        return {
            "mel_params": {
                "sample_rate": SAMPLE_RATE,
                "n_fft": 1024,
                "win_length": 640,
                "hop_length": HOP,
                "mel_fmin": 10,
                "mel_fmax": None,
                "num_mels": self.mels,
            },
            "encoder": {**backbone, **joints, "input_channels": self.hidden, "vocos_num_layers": self.encoder_layers},
            "decoder": {
                "input_channel": self.latent,
                "channels": self.generator,
                "rates": list(RATES),
                "kernel_sizes": list(KERNELS),
            },
            "quantizer": {
                "input_dim": self.latent,
                "codebook_size": self.codes,
                "codebook_dim": self.code_width,
                "commitment": 0.25,
                "codebook_loss_weight": 2.0,
                "use_l2_normlize": True,
                "threshold_ema_dead_code": 0.2,
            },
            "speaker_encoder": {
                "input_dim": self.mels,
                "out_dim": self.latent,
                "latent_dim": self.speaker_latent,
                "token_num": self.speaker_tokens,
                "fsq_levels": list(self.speaker_levels),
                "fsq_num_quantizers": 1,
            },
            "prenet": {
                **backbone,
                **joints,
                "vocos_num_layers": self.prenet_layers,
                "condition_dim": self.latent,
                "use_tanh_at_final": False,
            },
        }

    def config(self) -> BiCodecConfig:
        return BiCodecConfig.model_validate(self.bicodec())


SIZES = {
    "small": CodecSizes(),
    "tiny": CodecSizes(
        channels=(16,) * len(CONV_KERNELS),
        hidden=32,
        heads=2,
        inner=32,
        latent=32,
        width=32,
        width_inner=64,
        encoder_layers=1,
        prenet_layers=1,
        contents=160,
        generator=32,
        ecapa=32,
        ecapa_joined=48,
        ecapa_bottleneck=16,
        speaker_latent=16,
        speaker_tokens=4,
        speaker_levels=(4, 4),
        reference_seconds=1.5,
        mels=40,
    ),
}
