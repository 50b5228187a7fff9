"""The frame-rate half of the codec as it is trained: the served modules under the published names, with gradients."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.codec.families.spark.config import BiCodecConfig
from services.codec.families.spark.ecapa import Ecapa
from services.codec.families.spark.layers.frames import Frames
from services.codec.families.spark.layers.prenet import Prenet
from services.codec.families.spark.mel import MelSpectrogram
from services.codec.families.spark.perceiver import HEAD_WIDTH, CrossAttention, Layer, Perceiver
from services.codec.families.spark.weights import Weights
from training.codec import phases
from training.codec.initial import initialise
from training.codec.sizes import CodecSizes
from training.export import bicodec

# In the reference's code: heads of the perceiver, its depth, and the groups of ECAPA's blocks.
_HEADS, _DEPTH, _SCALE = 8, 2, 8
_MOST_POWER, _FLAT = 6.0, 1.5
# Deviations to begin with: of the perceiver's latents, of what its feed-forward layers add, and of the speaker latents
# before they are bounded, where four levels are used about equally then.
_LATENTS, _FED, _SPREAD = 0.5, 0.3, 0.8


class LevelQuantizer(nn.Module):
    """Finite scalar quantisation with gradients straight through the rounding: latents [..., D] -> [..., D]."""

    span: Tensor
    offset: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(self, latent: int, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.project_in = nn.Linear(latent, len(levels))
        self.project_out = nn.Linear(len(levels), latent)
        counts = torch.tensor(levels)
        half = (counts - 1) * (1 + 1e-3) / 2
        offset = torch.where(counts % 2 == 0, 0.5, 0.0)
        constants = {"span": half, "offset": offset, "shift": torch.atanh(offset / half), "scale": counts // 2}
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Also returns what was rounded, [..., levels] in about [-1, 1], and how far it is where bounding is flat and
        nothing would be learnt any more.
        """
        with torch.autocast(latents.device.type, enabled=False):
            shifted = self.project_in(latents.float()) + self.shift
            bounded = torch.tanh(shifted) * self.span - self.offset
            rounded = bounded + (bounded.round() - bounded).detach()
            flat = F.relu(shifted.abs() - _FLAT).mean()
            return self.project_out(rounded / self.scale), bounded / self.scale, flat


@dataclass(frozen=True)
class Heard:
    """Of reference clips: d_vector [B, D]; bounded: the latents before rounding [B, N, levels]; excess: how far the
    states are above the size that they should keep to.
    """

    d_vector: Tensor
    bounded: Tensor
    excess: Tensor


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

    @classmethod
    def exported(cls, voice: Path, sizes: CodecSizes) -> "SpeakerEncoder":
        """Of the exported `voice`."""
        prefix = "speaker_encoder."
        weights = Weights.read(voice / bicodec.FOLDER, [prefix])
        encoder = cls(sizes, sizes.config())
        state = encoder.state_dict()
        encoder.load_state_dict({name: weights.tensor(prefix + name, value.shape) for name, value in state.items()})
        return encoder

    def forward(self, clips: Tensor) -> Heard:
        with torch.autocast(clips.device.type, enabled=False):
            mel = self.mel(clips)
        latents, excess = self._resample(self.speaker_encoder(mel).transpose(1, 2))
        quantized, bounded, flat = self.quantizer(latents)
        return Heard(self.project(quantized.transpose(1, 2).flatten(1)), bounded, excess + flat)

    def _resample(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """The perceiver, watched: nothing normalises its states before the end, and its gated layers square them."""
        perceiver = self.perceiver_sampler
        context = perceiver.proj_context(frames)
        latents = perceiver.latents.expand(len(frames), -1, -1)
        states = [context]
        for layer in perceiver.layers:
            latents = layer(latents, context)
            states.append(latents)
        powers = torch.stack([state.float().square().mean() for state in states])
        excess = F.relu(torch.log(powers / _MOST_POWER)).sum()
        return perceiver.norm(latents), excess

    @torch.no_grad()
    def calibrate(self, clips: Tensor) -> None:
        """Shift and scale so that different clips [B, n] get different tokens from the first step on.

        At first the perceiver's states say much of the token and little of the clip: here the deviation over the clips
        (axis 0) is made to count.
        """
        perceiver, quantizer = self.perceiver_sampler, self.quantizer
        frames = self.speaker_encoder(self.mel(clips)).transpose(1, 2)
        _standardise(perceiver.proj_context, perceiver.proj_context(frames).flatten(0, 1))
        context = perceiver.proj_context(frames)
        latents = perceiver.latents.mul_(_LATENTS).expand(len(clips), -1, -1)
        for layer in perceiver.layers:
            latents = _calibrate(layer, latents, context)
        latents = perceiver.norm(latents)
        quantizer.project_in.weight.mul_(_SPREAD / quantizer.project_in(latents).std(0).mean())
        quantizer.project_in.bias.copy_(-quantizer.shift - quantizer.project_in.weight @ latents.mean((0, 1)))


class Quantizer(nn.Module):
    """The way out of the factorised quantiser. `contents` has rows whose directions, with those of the planes, make the
    codebook: as its search goes by angles, the nearest code has the nearest content and the nearest plane.
    """

    units: Tensor

    def __init__(self, sizes: CodecSizes) -> None:
        super().__init__()
        self.contents = nn.Embedding(sizes.contents, sizes.content_width)
        self.out_project = nn.Conv1d(sizes.code_width, sizes.latent, 1)
        self.register_buffer("units", phases.units(), persistent=False)

    @property
    def directions(self) -> Tensor:
        """[contents, content width] of length 1."""
        return F.normalize(self.contents.weight, dim=-1)

    def forward(self, contents: Tensor, planes: Tensor) -> Tensor:
        """[B, F] each -> latents [B, D, F]."""
        rows = torch.cat([F.embedding(contents, self.directions), self.units[planes]], dim=-1)
        latents: Tensor = self.out_project(rows.transpose(1, 2))
        return latents

    def codebook(self) -> Tensor:
        """[codes, code width]"""
        directions = self.directions
        planes = self.units.repeat_interleave(len(directions), dim=0)
        return torch.cat([directions.repeat(phases.PLANES, 1), planes], dim=1)


class Codec(nn.Module):
    """From codes and a reference clip to what the wave generator takes: attributes are prefixes of published names."""

    def __init__(self, sizes: CodecSizes) -> None:
        super().__init__()
        config = sizes.config()
        self.quantizer = Quantizer(sizes)
        self.speaker_encoder = initialise(SpeakerEncoder(sizes, config))
        self.prenet = initialise(Prenet(config.prenet))

    def published(self) -> dict[str, Tensor]:
        """As it is stored."""
        tensors = self.state_dict()
        del tensors["quantizer.contents.weight"]
        return {**tensors, "quantizer.codebook.weight": self.quantizer.codebook()}

    def forward(self, contents: Tensor, planes: Tensor, d_vector: Tensor) -> Tensor:
        """[B, F], [B, F], [B, D] -> what the wave generator takes, [B, D, F]."""
        frames = Frames.whole(self.quantizer(contents, planes))
        made: Frames = self.prenet(frames, self.prenet.modulate(d_vector))
        return made.x + d_vector[:, :, None]


def _calibrate(layer: nn.Module, latents: Tensor, context: Tensor) -> Tensor:
    """One layer of the perceiver; returns its outputs."""
    assert isinstance(layer, Layer)
    attend, feed = layer[0], layer[1]
    assert isinstance(attend, CrossAttention)
    assert isinstance(feed, nn.Sequential)
    attend.to_out.weight.div_(attend(latents, context).std(0).mean())
    latents = latents + attend(latents, context)
    factor = _FED / feed(latents).std()
    for parameter in feed[-1].parameters():
        parameter.mul_(factor)
    fed: Tensor = latents + feed(latents)
    return fed


def _standardise(layer: nn.Linear, outputs: Tensor) -> None:
    """Such that `outputs` [N, C] would have had mean 0 and deviation 1 in every channel."""
    factor = 1 / (outputs.std(0) + 1e-4)
    layer.bias.copy_((layer.bias - outputs.mean(0)) * factor)
    layer.weight.mul_(factor[:, None])


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
