"""What guides the codec, and is thrown away behind it: spectra of the frames, traits of the speaker."""

from torch import nn

from training.brightness import MEAN_LOG_CENTROID
from training.codec.sizes import CodecSizes
from training.codec.spectra import MEAN, Spectra


class Heads(nn.Module):
    """frames: what the wave generator takes -> coarse and fine spectra; traits: d-vectors -> Voice.traits; brightness:
    d-vectors -> log centroids.
    """

    def __init__(self, sizes: CodecSizes, traits: int) -> None:
        super().__init__()
        last = nn.Linear(sizes.latent, Spectra.coarse_width + Spectra.fine_width)
        nn.init.constant_(last.bias, MEAN)
        self.frames = nn.Sequential(nn.LayerNorm(sizes.latent), last)
        self.traits = nn.Linear(sizes.latent, traits)
        self.brightness = nn.Linear(sizes.latent, 1)
        nn.init.constant_(self.brightness.bias, MEAN_LOG_CENTROID)
