"""What guides the first stage at every depth, and is thrown away behind it."""

from dataclasses import dataclass

from torch import Tensor, nn

from training.codec.sizes import CodecSizes
from training.codec.spectra import MEAN, Spectra
from training.corpus.phones import PHONES


@dataclass(frozen=True)
class Depths:
    """The codec's states, [B, F, C] each: behind wav2vec2's convolutions, its tapped layers, the encoder; the quantised
    contents where the target needs them; how near each plane is; the decoder's output; and the d-vectors [B, D].
    """

    heard: Tensor
    taps: Tensor
    latents: Tensor
    moved: Tensor
    nearness: Tensor
    output: Tensor
    d_vector: Tensor


class Heads(nn.Module):
    def __init__(self, sizes: CodecSizes, traits: int) -> None:
        super().__init__()
        self.heard = _spectrum(sizes.channels[-1], Spectra.coarse_width)
        self.taps = _spectrum(sizes.hidden, Spectra.coarse_width)
        self.latents = _spectrum(sizes.latent, Spectra.coarse_width)
        self.output = _spectrum(sizes.latent, Spectra.coarse_width + Spectra.fine_width)
        self.phones = nn.Sequential(nn.Linear(sizes.content_width, 128), nn.GELU(), nn.Linear(128, len(PHONES)))
        self.tap_phones = nn.Linear(sizes.hidden, len(PHONES))
        self.traits = nn.Linear(sizes.latent, traits)


def _spectrum(inputs: int, outputs: int) -> nn.Sequential:
    last = nn.Linear(inputs, outputs)
    nn.init.constant_(last.bias, MEAN)
    return nn.Sequential(nn.LayerNorm(inputs), last)
