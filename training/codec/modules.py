"""The codec as it is trained: the served modules under the published names, with gradients."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Wav2Vec2Model

from services.codec.families.spark.config import BiCodecConfig
from services.codec.families.spark.ecapa import Ecapa
from services.codec.families.spark.encoder import Encoder
from services.codec.families.spark.layers.frames import Frames
from services.codec.families.spark.layers.prenet import Prenet
from services.codec.families.spark.mel import MelSpectrogram
from services.codec.families.spark.perceiver import HEAD_WIDTH, Perceiver
from services.codec.families.spark.wav2vec2 import TAPS
from services.codec.families.spark.weights import Weights
from training.codec.initial import initialise
from training.codec.sizes import CodecSizes

# In the reference's code: heads of the perceiver, its depth, and the groups of ECAPA's blocks.
_HEADS, _DEPTH, _SCALE = 8, 2, 8


class Hearing(nn.Module):
    """wav2vec2: samples [B, T] -> the outputs of its convolutions [B, C, F] and the mean of three states [B, H, F]."""

    def __init__(self, sizes: CodecSizes) -> None:
        super().__init__()
        self.model = Wav2Vec2Model(sizes.wav2vec2())

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        centred = samples - samples.mean(1, keepdim=True)
        heard = self.model.feature_extractor(centred / (samples.var(1, correction=0, keepdim=True) + 1e-7).sqrt())
        hidden = self.model.feature_projection(heard.transpose(1, 2))[0]
        hidden = hidden + self.model.encoder.pos_conv_embed(hidden)
        taps: list[Tensor] = []
        for index, layer in enumerate(self.model.encoder.layers[: max(TAPS)], start=1):
            output = layer(hidden)
            # transformers before 5.20 wraps it.
            hidden = output[0] if isinstance(output, tuple) else output
            if index in TAPS:
                taps.append(hidden)
        first, second, third = taps
        return heard, ((first + second + third) / 3).transpose(1, 2)


class LevelQuantizer(nn.Module):
    """Finite scalar quantisation with gradients straight through the rounding: latents [..., D] -> [..., D]."""

    def __init__(self, latent: int, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.project_in = nn.Linear(latent, len(levels))
        self.project_out = nn.Linear(len(levels), latent)
        self.levels = levels

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Also returns what was rounded, [..., levels] in about [-1, 1]."""
        with torch.autocast(latents.device.type, enabled=False):
            levels = torch.tensor(self.levels, device=latents.device, dtype=torch.float32)
            half = (levels - 1) * (1 + 1e-3) / 2
            offset = torch.where(levels % 2 == 0, 0.5, 0.0)
            bounded = torch.tanh(self.project_in(latents.float()) + torch.atanh(offset / half)) * half - offset
            rounded = bounded + (bounded.round() - bounded).detach()
            return self.project_out(rounded / (levels // 2)), bounded / (levels // 2)


@dataclass(frozen=True)
class Heard:
    """Of reference clips: d_vector [B, D]; bounded: the latents before rounding [B, N, levels]."""

    d_vector: Tensor
    bounded: Tensor


class SpeakerEncoder(nn.Module):
    """Reference clips [B, n] -> what is heard of their speakers."""

    def __init__(self, sizes: CodecSizes, config: BiCodecConfig) -> None:
        super().__init__()
        shapes = _shapes(sizes)
        self.mel = MelSpectrogram(config.mel_params)
        self.speaker_encoder = Ecapa(shapes, "ecapa")
        self.perceiver_sampler = Perceiver(shapes, "perceiver")
        self.quantizer = LevelQuantizer(sizes.speaker_latent, sizes.speaker_levels)
        self.project = nn.Linear(sizes.speaker_latent * sizes.speaker_tokens, sizes.latent)

    def forward(self, clips: Tensor) -> Heard:
        with torch.autocast(clips.device.type, enabled=False):
            mel = self.mel(clips)
        latents = self.perceiver_sampler(self.speaker_encoder(mel).transpose(1, 2))
        quantized, bounded = self.quantizer(latents)
        return Heard(self.project(quantized.transpose(1, 2).flatten(1)), bounded)


class Quantizer(nn.Module):
    """The weights of the factorised quantiser; `codebook` has unit rows."""

    def __init__(self, sizes: CodecSizes) -> None:
        super().__init__()
        self.in_project = nn.Conv1d(sizes.latent, sizes.code_width, 1)
        self.out_project = nn.Conv1d(sizes.code_width, sizes.latent, 1)
        self.codebook = nn.Embedding(sizes.codes, sizes.code_width)
        self.codebook.weight.requires_grad_(False)
        self.codebook.weight.copy_(F.normalize(self.codebook.weight))

    def directions(self, latents: Tensor) -> Tensor:
        """[B, D, F] -> [B, F, code width] of length 1."""
        with torch.autocast(latents.device.type, enabled=False):
            return F.normalize(self.in_project(latents.float()).transpose(1, 2), dim=-1)

    def nearest(self, directions: Tensor) -> Tensor:
        """[..., code width] -> [...] codes."""
        return (directions @ self.codebook.weight.T).argmax(-1)


class Codec(nn.Module):
    """Everything but the wave generator: attributes are prefixes of the published names, `wav2vec2` apart."""

    def __init__(self, sizes: CodecSizes) -> None:
        super().__init__()
        config = sizes.config()
        self.wav2vec2 = Hearing(sizes)
        self.encoder = initialise(Encoder(config.encoder))
        self.quantizer = Quantizer(sizes)
        self.speaker_encoder = initialise(SpeakerEncoder(sizes, config))
        self.prenet = initialise(Prenet(config.prenet))

    def encode(self, features: Tensor) -> Tensor:
        """[B, H, F] -> [B, D, F]."""
        latents: Frames = self.encoder(Frames.whole(features))
        return latents.x

    def decode(self, latents: Tensor, d_vector: Tensor) -> Tensor:
        """[B, D, F], [B, D] -> what the wave generator takes, [B, D, F]."""
        frames: Frames = self.prenet(Frames.whole(latents), self.prenet.modulate(d_vector))
        return frames.x + d_vector[:, :, None]


def _shapes(sizes: CodecSizes) -> Weights:
    """The served modules read their widths off a checkpoint's tensors: here are some to read them off."""
    return Weights(Path("(none yet)"), {name: torch.empty(shape) for name, shape in _ecapa(sizes).items()})


def _ecapa(sizes: CodecSizes) -> Mapping[str, tuple[int, ...]]:
    channels, group = sizes.ecapa, sizes.ecapa // _SCALE
    shapes: dict[str, tuple[int, ...]] = {
        "ecapa.layer1.conv.weight": (channels, sizes.mels, 5),
        "ecapa.conv.weight": (sizes.ecapa_joined, 3 * channels, 1),
        "perceiver.proj_context.weight": (sizes.speaker_latent, sizes.ecapa_joined),
        "perceiver.latents": (sizes.speaker_tokens, sizes.speaker_latent),
    }
    for layer in ("layer2", "layer3", "layer4"):
        for index in range(_SCALE - 1):
            shapes[f"ecapa.{layer}.se_res2block.1.convs.{index}.weight"] = (group, group, 3)
        shapes[f"ecapa.{layer}.se_res2block.3.linear1.weight"] = (sizes.ecapa_bottleneck, channels)
    for index in range(_DEPTH):
        shapes[f"perceiver.layers.{index}.0.to_q.weight"] = (_HEADS * HEAD_WIDTH, sizes.speaker_latent)
        shapes[f"perceiver.layers.{index}.1.2.weight"] = (sizes.speaker_latent, sizes.speaker_latent * 8 // 3)
    return shapes
