"""The second stage: by spectra, the lowest harmonics and what the tokenizer hears, later also against judges."""

from collections.abc import Iterator

import torch
from torch import Tensor

from training.device import Compute
from training.loop import Figures
from training.optimiser import MeanWeights, Optimiser
from training.wave.crops import Crop
from training.wave.discriminator import Discriminator, judge_loss, maker_losses
from training.wave.fundamental import Fundamental
from training.wave.listener import Listener, SpeakerListener
from training.wave.modules import Decoder
from training.wave.spectral import SpectralLoss

_SPECTRA, _LINEAR, _COLOUR, _BRIGHTNESS = 15.0, 5.0, 10.0, 1000.0
_FORETOLD, _MISSED, _MISHEARD, _UNLIKE, _SEEN = 5.0, 1.5, 12.0, 20.0, 2.0
_HARMONICS_FIRST, _HARMONICS_LAST, _PITCH_UNTIL = 40.0, 5.0, 0.3
"""Until then, by progress, the harmonics count for more: later they would drown the spectra."""
_CLIP = 50.0


class SecondStage:
    """One call is one step of the optimiser. judged_from: the progress at which the judges come in; 1 for never."""

    def __init__(
        self,
        decoder: Decoder,
        listener: Listener,
        speakers: SpeakerListener,
        judges: Discriminator,
        crops: Iterator[Crop],
        compute: Compute,
        judged_from: float,
    ) -> None:
        self._decoder, self._judges = decoder, judges
        self._listener, self._speakers = listener, speakers
        self._crops, self._compute = crops, compute
        self._judged_from = judged_from
        self._spectral = SpectralLoss().to(compute.device)
        self.fundamental = Fundamental(decoder.latent).to(compute.device)
        self.optimiser = Optimiser([(decoder, 6e-4), (self.fundamental, 6e-4)], beta=0.9)
        self.judges_optimiser = Optimiser([(judges, 3e-4)], beta=0.9)
        self.mean = MeanWeights(decoder)

    def __call__(self, progress: float) -> Figures:
        crop = next(self._crops)
        with self._compute.autocast():
            frames = self._decoder.frames(crop.codes, crop.globals_)
            samples = self._decoder.sound(frames)
            foretold = self.fundamental.foretold(frames, crop)
        made, real = samples.float() * crop.judged, crop.samples * crop.judged
        mel, linear, colour, brightness = self._spectral(made, real)
        weight = _HARMONICS_LAST + (_HARMONICS_FIRST - _HARMONICS_LAST) * max(1 - progress / _PITCH_UNTIL, 0.0)
        harmonics = self.fundamental.heard(made, real, crop)
        with self._compute.autocast():
            missed, misheard = self._listener.missed(made, crop)
            unlike = self._speakers.unlike(made, real)
        loss = _SPECTRA * mel + _LINEAR * linear + _COLOUR * colour + progress * _BRIGHTNESS * brightness
        loss = loss + weight * harmonics + _FORETOLD * foretold
        loss = loss + _MISSED * missed + _MISHEARD * misheard + _UNLIKE * unlike
        figures = {"mel": mel, "linear": linear, "colour": colour, "brightness": brightness, "harmonics": harmonics}
        figures |= {"foretold": foretold, "missed": missed, "misheard": misheard, "unlike": unlike}
        if progress >= self._judged_from:
            judging = self._judge(made.detach(), real, progress)
            convinced, seen = self._convince(made, real)
            loss = loss + convinced + _SEEN * seen
            figures |= {"judging": judging, "convinced": convinced, "seen": seen}
        norm = self.optimiser.step(loss, progress, clip=_CLIP)
        self.mean.update()
        return {**figures, "norm": norm}

    def _judge(self, made: Tensor, real: Tensor, progress: float) -> Tensor:
        with self._compute.autocast():
            loss = judge_loss(self._judges(made), self._judges(real))
        self.judges_optimiser.step(loss, progress)
        return loss

    def _convince(self, made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        with self._compute.autocast():
            with torch.no_grad():
                seen = self._judges(real)
            return maker_losses(self._judges(made), seen)
