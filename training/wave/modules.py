"""The decoder as it is trained: the served modules, read from the exported voice, the generator with weight norm."""

from functools import partial
from pathlib import Path

from torch import Tensor, nn
from torch.nn.utils import parametrizations

from services.codec.families.spark.config import SparkConfig
from services.codec.families.spark.layers.codebook import Codebook
from services.codec.families.spark.layers.convolution import convolutions
from services.codec.families.spark.layers.frames import Frames
from services.codec.families.spark.layers.generator import WaveGenerator
from services.codec.families.spark.layers.prenet import Prenet
from services.codec.families.spark.layers.speaker import SpeakerDecoder
from services.codec.families.spark.weights import Weights
from training.codec.initial import initialise
from training.codec.phases import PLANES
from training.export import bicodec
from training.wave.snake import fuse

PARTS = ("quantizer.codebook.", "quantizer.out_project.", "speaker_encoder.quantizer.project_out.")
MORE_PARTS = ("speaker_encoder.project.", "prenet.")


class Decoder(nn.Module):
    """Attributes are prefixes of the published names. The codebook stays as it is: the tokens mean its rows."""

    def __init__(self, voice: Path) -> None:
        super().__init__()
        config = SparkConfig.read(voice).codec
        weights = Weights.read(voice / bicodec.FOLDER, (*PARTS, *MORE_PARTS, "decoder."))
        self.quantizer = weights.load(partial(Codebook, config.quantizer), "quantizer")
        self.speaker_encoder = weights.load(partial(SpeakerDecoder, config.speaker_encoder), "speaker_encoder")
        self.prenet = weights.load(partial(Prenet, config.prenet), "prenet")
        self.latent = config.quantizer.input_dim
        self.contents = config.quantizer.codebook_size // PLANES
        generator = partial(WaveGenerator, config.decoder)
        # What an earlier training left is a better start than none.
        begun = "decoder.model.0.weight" in weights
        self.decoder = weights.load(generator, "decoder") if begun else initialise(generator())
        for module in self.children():
            module.requires_grad_(True)
        self.quantizer.codebook.requires_grad_(False)
        for layer in convolutions(self.decoder):
            parametrizations.weight_norm(layer, dim=0)
        fuse(self.decoder)

    def frames(self, codes: Tensor, globals_: Tensor) -> Tensor:
        """codes [B, F], globals_ [B, N] -> what the generator takes, [B, D, F]."""
        d_vector: Tensor = self.speaker_encoder(globals_)
        frames: Frames = self.prenet(Frames.whole(self.quantizer(codes)), self.prenet.modulate(d_vector))
        return frames.x + d_vector[:, :, None]

    def forward(self, codes: Tensor, globals_: Tensor) -> Tensor:
        """-> samples [B, hop * F]."""
        return self.sound(self.frames(codes, globals_))

    def sound(self, frames: Tensor) -> Tensor:
        """[B, D, F] -> samples [B, hop * F]."""
        samples: Frames = self.decoder(Frames.whole(frames))
        heard: Tensor = samples.x[:, 0]
        return heard
