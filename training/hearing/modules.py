"""wav2vec2, the encoder and the way into the codebook, as they are trained."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Wav2Vec2Model

from services.codec.families.spark.encoder import Encoder
from services.codec.families.spark.layers.frames import Frames
from services.codec.families.spark.wav2vec2 import TAPS
from training.codec import phases
from training.codec.initial import initialise
from training.codec.sizes import CodecSizes
from training.corpus.phones import PHONES

_SHARP = 100.0
"""Scale of the cosines to begin with: the directions of contents are near each other."""


class Wav2Vec2(nn.Module):
    """Samples [B, T] -> the outputs of its convolutions [B, F, C] and the mean of three states [B, F, H]."""

    def __init__(self, sizes: CodecSizes) -> None:
        super().__init__()
        self.model = Wav2Vec2Model(sizes.wav2vec2())

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        centred = samples - samples.mean(1, keepdim=True)
        heard = self.model.feature_extractor(centred / (samples.var(1, correction=0, keepdim=True) + 1e-7).sqrt())
        heard = heard.transpose(1, 2)
        hidden = self.model.feature_projection(heard)[0]
        hidden = hidden + self.model.encoder.pos_conv_embed(hidden)
        taps: list[Tensor] = []
        for index, layer in enumerate(self.model.encoder.layers[: max(TAPS)], start=1):
            output = layer(hidden)
            # transformers before 5.20 wraps it.
            hidden = output[0] if isinstance(output, tuple) else output
            if index in TAPS:
                taps.append(hidden)
        first, second, third = taps
        return heard, (first + second + third) / 3


class Tokenizer(nn.Module):
    """Attributes but `wav2vec2` are prefixes of the published names, below `quantizer.` for `in_project`."""

    contents: Tensor
    units: Tensor

    def __init__(self, sizes: CodecSizes, contents: Tensor) -> None:
        """contents: rows of the codebook [contents, width], of length 1; they stay as they are."""
        super().__init__()
        self.wav2vec2 = Wav2Vec2(sizes)
        self.encoder = initialise(Encoder(sizes.config().encoder))
        self.in_project = nn.Conv1d(sizes.latent, sizes.code_width, 1)
        self.register_buffer("contents", contents, persistent=False)
        self.register_buffer("units", phases.units(), persistent=False)

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Samples [B, T] -> conv outputs [B, F, C], taps [B, F, H], and what `near` says."""
        heard, taps = self.wav2vec2(samples)
        latents: Frames = self.encoder(Frames.whole(taps.transpose(1, 2)))
        return heard, taps, *self.near(latents.x)

    def near(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """[B, D, F] -> how near each content [B, F, contents] and each plane [B, F, PLANES] is. The nearest code has
        the nearest content and the nearest plane: its search goes by angles.
        """
        with torch.autocast(latents.device.type, enabled=False):
            projected = self.in_project(latents.float()).transpose(1, 2)
            content, phase = projected.split([self.contents.shape[1], phases.WIDTH], dim=-1)
            return F.normalize(content, dim=-1) @ self.contents.T, phase @ self.units.T


class Heads(nn.Module):
    """What guides the lower layers, and is thrown away: phones."""

    def __init__(self, sizes: CodecSizes) -> None:
        super().__init__()
        self.heard = _phones(sizes.channels[-1])
        self.taps = _phones(sizes.hidden)
        self.sharp = nn.Parameter(torch.tensor(_SHARP).log())


def _phones(inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(inputs), nn.Linear(inputs, len(PHONES)))
